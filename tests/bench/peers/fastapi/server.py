"""License validation as a small FastAPI service would do it: the same question, the same rows, the same
answer as the portal's. FastAPI, uvicorn with uvloop and the standard library's sqlite3; one process, as it
is usually started."""

import base64
import hashlib
import hmac
import json
import sqlite3
import sys
import time

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel

port, file, api_key, license_key = sys.argv[1:]
SECRET = bytes([7]) * 32


def hashed(text: str) -> str:
    return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("CREATE TABLE IF NOT EXISTS api_keys (hash TEXT PRIMARY KEY, tenant TEXT NOT NULL)")
db.execute(
    """CREATE TABLE IF NOT EXISTS licenses (hash TEXT PRIMARY KEY, organization TEXT NOT NULL, status TEXT NOT NULL,
    tier TEXT NOT NULL, products TEXT NOT NULL, features TEXT NOT NULL, limits TEXT NOT NULL, expires_at REAL NOT NULL)"""
)
db.execute("INSERT OR REPLACE INTO api_keys VALUES (?, 'acme')", (hashed(api_key),))
db.execute(
    "INSERT OR REPLACE INTO licenses VALUES (?, 'acme-org', 'active', 'pro', '[\"shop\"]', '[\"export\"]', '{}', ?)",
    (hashed(license_key), time.time() + 86400 * 30),
)
signer = Ed25519PrivateKey.generate()
kept = (0.0, "")


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def lease(organization: str, tier: str) -> str:
    """Kept for a minute, as the portal keeps it."""
    global kept
    now = time.time()
    if now > kept[0]:
        head = {"alg": "EdDSA", "typ": "freehold-lease+jwt"}
        claims = {"sub": organization, "tier": tier, "exp": int(now) + 86400}
        text = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(claims).encode())}"
        kept = (now + 60, f"{text}.{encoded(signer.sign(text.encode()))}")
    return kept[1]


class Question(BaseModel):
    licenseKey: str
    organizationId: str
    feature: str | None = None
    action: str | None = None


app = FastAPI()


@app.post("/api/v1/licenses/validate")
async def validate(question: Question, x_api_key: str = Header()):
    if db.execute("SELECT tenant FROM api_keys WHERE hash = ?", (hashed(x_api_key),)).fetchone() is None:
        return JSONResponse({"code": "api_key_unknown"}, 401)
    row = db.execute(
        "SELECT organization, status, tier, products, features, limits, expires_at FROM licenses WHERE hash = ?",
        (hashed(question.licenseKey),),
    ).fetchone()
    if row is None:
        return {"valid": False, "code": "NOT_FOUND"}
    organization, status, tier, products, features, limits, expires_at = row
    if organization != question.organizationId:
        return {"valid": False, "code": "ORGANIZATION_MISMATCH"}
    if status != "active":
        return {"valid": False, "code": "SUSPENDED"}
    if expires_at < time.time():
        return {"valid": False, "code": "EXPIRED"}
    features = json.loads(features)
    if question.feature and question.feature not in features:
        return {"valid": False, "code": "FEATURE_NOT_LICENSED"}
    license = {
        "status": status,
        "tier": tier,
        "products": json.loads(products),
        "features": features,
        "limits": json.loads(limits),
        "expiresAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at)),
    }
    return {"valid": True, "code": "VALID", "license": license, "lease": lease(organization, tier)}


uvicorn.run(app, host="127.0.0.1", port=int(port), loop="uvloop", http="httptools", access_log=False)
