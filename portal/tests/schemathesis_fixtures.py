"""What schemathesis finds in the portal of tests/admin_api/conformance.rs: for every operation something on
which it can succeed, with real identifiers. Loaded as SCHEMATHESIS_HOOKS."""

import itertools
import json
import os
import sqlite3
import urllib.request

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import REQUEST_SHAPE_PROBES

URL = os.environ["FREEHOLD_URL"]
PASSWORD = os.environ["FREEHOLD_PASSWORD"]
CHANGED = PASSWORD + " anew"

# Operations that were answered with success, in the words of the document.
succeeded = []


def ask(method, path, body=None):
    headers = {"Authorization": "Bearer " + os.environ["FREEHOLD_SETUP"], "If-Match": "*"}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(URL + "/api/v1" + path, data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


numbers = itertools.count(1)


def fresh(word):
    return f"{word}-{next(numbers)}"


def tenant(**more):
    slug = fresh("made")
    body = {
        "slug": slug, "name": "Made", "domain": f"{slug}.example.com", "host": "demo", "blueprint": "shop",
        "settings": {"GREETING": "hello"},
    }
    return body | more


def tenant_made(**more):
    return ask("POST", "/tenants", tenant(**more))["tenant"]["slug"]


def running():
    """A tenant that runs, as after the report of an agent."""
    slug = tenant_made()
    sql("UPDATE tenants SET status = 'active', release_deployed = 1, deployed_at = 1 WHERE slug = ?", slug)
    return slug


def sql(text, *values):
    with sqlite3.connect(os.environ["FREEHOLD_DATABASE"], timeout=30) as database:
        database.execute(text, values)


def host():
    return ask("POST", "/hosts", {"name": fresh("host")})["name"]


def plan():
    body = {"name": fresh("plan"), "products": ["shop", "demo"], "expiryStrategy": "restrict"}
    return ask("POST", "/plans", body)["name"]


def customer():
    return ask("POST", "/customers", {"name": fresh("Customer")})["id"]


def license(**more):
    body = {"customer": customer(), "plan": "demo"} | more
    return ask("POST", "/licenses", body)


def license_id():
    return license()["license"]["id"]


def suspended():
    one = license_id()
    ask("POST", f"/licenses/{one}/suspend", {"reason": "unpaid"})
    return one


def request():
    """The body of a request."""
    owner = customer()
    one = license(customer=owner)["license"]["id"]
    return tenant(customer=owner, license=one, justification="signed")


def requested():
    return ask("POST", "/requests", request())["id"]


def failed_request():
    one = requested()
    # Whoever makes the fixtures has asked for it, and approves it here as somebody else.
    sql("UPDATE requests SET requester = 'somebody' WHERE id = ?", one)
    ask("POST", f"/requests/{one}/approve", {"despiteCapacity": True})
    job = ask("GET", f"/requests/{one}")["job"]
    ask("POST", f"/jobs/{job}/cancel", {})
    return one


def job(state="queued"):
    one = ask("POST", "/hosts/demo/probe")["id"]
    if state != "queued":
        agent = "(SELECT agent_id FROM hosts WHERE name = 'demo')"
        sql(f"UPDATE jobs SET state = ?, agent_id = {agent}, epoch = 1, seq = 1 WHERE id = ?", state, one)
    return one


def key():
    slug = tenant_made()
    one = ask("POST", f"/tenants/{slug}/keys")["key"]["id"]
    return {"slug": slug, "id": one}


def user():
    login = f"{fresh('user')}@example.com"
    body = {"login": login, "role": "viewer", "password": PASSWORD, "keepPassword": True}
    return login, ask("POST", "/users", body)["user"]["id"]


def user_id():
    return user()[1]


def disabled():
    one = user_id()
    ask("POST", f"/users/{one}/disable")
    return one


def session(login=None, password=PASSWORD):
    if login is None:
        login, _ = user()
    return ask("POST", "/auth/login", {"login": login, "password": password})


def own_session():
    """Another one of the user who asks, whose password may have been changed by now."""
    if "POST /api/v1/me/password" in first:
        return session("tess@example.com")["session"]["id"]
    return session("tess@example.com", CHANGED)["session"]["id"]


def session_of():
    login, one = user()
    return {"user": one, "id": session(login)["session"]["id"]}


def token():
    return ask("POST", "/tokens", {"name": fresh("token"), "role": "viewer"})["token"]["id"]


def at(name, make):
    return lambda: {"path": {name: make()}}


def of(path):
    return lambda: {"path": path()}


def says(body):
    return lambda: {"body": body()}


def fixtures():
    """Operation: what makes one call that succeeds. `path`, `query` and `body` stand in for what was drawn."""
    v1 = "/api/v1"
    return {
        f"DELETE {v1}/hosts/{{name}}": at("name", host),
        f"POST {v1}/hosts/{{name}}/revoke": lambda: {"path": {"name": "lost"}, "body": {"confirm": "lost"}},
        f"POST {v1}/blueprints": says(lambda: {"source": os.environ["FREEHOLD_SHOP"]}),
        f"POST {v1}/tenants": says(tenant),
        f"DELETE {v1}/tenants/{{slug}}": at("slug", tenant_made),
        f"POST {v1}/tenants/{{slug}}/deploy": lambda: {"path": {"slug": tenant_made()}, "body": {}},
        f"POST {v1}/tenants/{{slug}}/remove": lambda: {"path": {"slug": running()}, "body": {"data": "keep"}},
        f"POST {v1}/tenants/{{slug}}/check": at("slug", running),
        f"POST {v1}/tenants/{{slug}}/keys": at("slug", tenant_made),
        f"POST {v1}/tenants/{{slug}}/keys/{{id}}/rotate": of(key),
        f"DELETE {v1}/tenants/{{slug}}/keys/{{id}}": of(key),
        f"GET {v1}/jobs/{{id}}": at("id", job),
        f"GET {v1}/jobs/{{id}}/events": lambda: {"path": {"id": job()}, "query": {"waitSeconds": 0}},
        f"DELETE {v1}/jobs/{{id}}": at("id", lambda: job("failed")),
        f"POST {v1}/jobs/{{id}}/cancel": at("id", job),
        f"POST {v1}/jobs/{{id}}/retry": at("id", lambda: job("failed")),
        f"POST {v1}/jobs/{{id}}/resume": at("id", lambda: job("rollback_failed")),
        f"DELETE {v1}/tokens/{{id}}": at("id", token),
        f"POST {v1}/auth/login": says(lambda: {"login": user()[0], "password": PASSWORD}),
        f"POST {v1}/auth/refresh": says(lambda: {"refreshToken": session()["refreshToken"]}),
        f"POST {v1}/auth/logout": says(lambda: {"refreshToken": session()["refreshToken"]}),
        f"POST {v1}/me/password": says(lambda: {"old": PASSWORD, "new": CHANGED}),
        f"DELETE {v1}/me/sessions/{{id}}": at("id", own_session),
        f"GET {v1}/users/{{id}}": at("id", user_id),
        f"PATCH {v1}/users/{{id}}": at("id", user_id),
        f"DELETE {v1}/users/{{id}}": at("id", user_id),
        f"POST {v1}/users/{{id}}/disable": at("id", user_id),
        f"POST {v1}/users/{{id}}/enable": at("id", disabled),
        f"POST {v1}/users/{{id}}/reset-password": at("id", user_id),
        f"GET {v1}/users/{{id}}/sessions": at("id", user_id),
        f"DELETE {v1}/users/{{user}}/sessions/{{id}}": of(session_of),
        f"DELETE {v1}/plans/{{name}}": at("name", plan),
        f"POST {v1}/plans/{{name}}/archive": at("name", plan),
        f"GET {v1}/customers/{{id}}": at("id", customer),
        f"PATCH {v1}/customers/{{id}}": at("id", customer),
        f"DELETE {v1}/customers/{{id}}": at("id", customer),
        f"POST {v1}/licenses": says(lambda: {"customer": customer(), "plan": "demo"}),
        f"GET {v1}/licenses/{{id}}": at("id", license_id),
        f"PATCH {v1}/licenses/{{id}}": at("id", license_id),
        f"POST {v1}/licenses/{{id}}/suspend": at("id", license_id),
        f"POST {v1}/licenses/{{id}}/reinstate": at("id", suspended),
        f"POST {v1}/licenses/{{id}}/renew": at("id", license_id),
        f"POST {v1}/licenses/{{id}}/revoke": at("id", license_id),
        f"POST {v1}/licenses/{{id}}/reveal": at("id", license_id),
        f"POST {v1}/requests": says(request),
        f"GET {v1}/requests/{{id}}": at("id", requested),
        f"POST {v1}/requests/{{id}}/approve": lambda: {"path": {"id": requested()}, "body": {"despiteCapacity": True}},
        f"POST {v1}/requests/{{id}}/reject": lambda: {"path": {"id": requested()}, "body": {"comment": "no"}},
        f"POST {v1}/requests/{{id}}/withdraw": at("id", requested),
        f"POST {v1}/requests/{{id}}/retry": at("id", failed_request),
        f"POST {v1}/agent/enroll": says(lambda: json.loads(os.environ["FREEHOLD_ENROLLMENT"])),
    }


FIXTURES = fixtures()
# Operations that have not been asked to succeed.
first = set(FIXTURES)
found = {}
# What a field of a body may name. A license and its customer belong together.
names = {}


def named():
    if not names:
        one = license()["license"]
        names.update(
            customer=one["customer"], license=one["id"], plan="demo", host="demo", blueprint="shop", tenant="acme",
            release=1, settings={"GREETING": "hello"},
        )
    return names


def whole(value):
    """JSON Schema has 65.0 for an integer; readers of programs do not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts what is there in the place of what was drawn, where that was drawn to be good."""
    if case.meta is None or case.method != context.operation.method.upper():
        return

    operation = f"{case.method} {context.operation.path}"
    if operation in FIXTURES and operation not in found:
        found[operation] = FIXTURES[operation]()
    fixture = found.get(operation, {})
    path = case.meta.components.get(ParameterLocation.PATH, case.meta.generation)
    if "path" in fixture and path.mode.is_positive:
        case.path_parameters = dict(fixture["path"])
    is_probe = getattr(case.meta.phase.data, "scenario", None) in REQUEST_SHAPE_PROBES
    if is_probe or not case.meta.generation.mode.is_positive:
        return
    # The first answer to a key is the answer to all requests with it.
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = fresh("key")
        if isinstance(case.body, dict) and "batchId" in case.body:
            case.body = case.body | {"batchId": case.headers["Idempotency-Key"]}
    if isinstance(case.body, dict):
        body = whole(case.body)
        if "settings" not in body and "blueprint" in body:
            body["settings"] = {}
        # What must be said once more is what the address says.
        again = case.path_parameters.get("name") or case.path_parameters.get("slug")
        there = named() | ({"confirm": again} if again else {})
        case.body = {key: there.get(key, value) if value is not None else None for key, value in body.items()}
    if operation not in first:
        return
    first.discard(operation)
    if "If-Match" in case.headers or case.method == "PATCH":
        case.headers["If-Match"] = "*"
    if "query" in fixture:
        case.query = dict(fixture["query"])
    if "body" in fixture:
        case.body, case.media_type = fixture["body"], "application/json"


@schemathesis.hook
def after_call(context, case, response):
    """Writes down which operations have succeeded, for the test to compare with the document."""
    operation = f"{context.operation.method.upper()} {context.operation.path}"
    if 200 <= response.status_code < 300 and case.method in operation and operation not in succeeded:
        succeeded.append(operation)
        with open("succeeded.json", "w") as file:
            json.dump(succeeded, file)
