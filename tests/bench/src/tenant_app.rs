//! A tenant with a license and an API key, and what its app asks.

use serde_json::json;

use crate::{http::request, portal::Portal, seed::host_name};

/// Where licenses are validated.
pub const VALIDATE: &str = "/api/v1/licenses/validate";

/// What a tenant's app knows.
pub struct TenantApp {
    /// Its API key.
    pub api_key: String,
    /// Its license's identifier.
    pub license: String,
    /// Its license key.
    pub license_key: String,
}

impl TenantApp {
    /// Makes the tenant `acme` on a portal that has none.
    pub fn new(portal: &Portal) -> Self {
        let ask = |path: &str, body: serde_json::Value| {
            portal.ask("POST", &format!("/api/v1/{path}"), &body.to_string(), 201)
        };
        let source = "services:\n  web:\n    image: registry.example.com/shop/web:1\nx-freehold:\n  product: shop\n  ports:\n    \
                      web: { service: web, containerPort: 8080, range: 8000-8999 }\n  routes:\n    - { path: /, port: web }\n  \
                      health: { port: web, path: /health }\n";
        ask("blueprints", json!({ "source": source }));
        ask(
            "plans",
            json!({ "name": "pro", "title": "Pro", "products": ["shop"], "features": ["export"], "limits": {},
                    "maxUsers": 5, "maxApiKeys": 5, "expiryStrategy": "restrict", "graceDays": 0 }),
        );
        let customer = ask("customers", json!({ "name": "Acme", "organizationId": "acme-org" }));
        let license = ask("licenses", json!({ "customer": customer["id"], "plan": "pro" }));
        ask(
            "tenants",
            json!({ "slug": "acme", "name": "Acme", "domain": "acme.example.com", "host": host_name(0),
                    "blueprint": "shop", "license": license["license"]["id"] }),
        );
        let key = portal.ask("POST", "/api/v1/tenants/acme/keys", "", 201);
        let api_key = key["secret"].as_str().expect("a key").to_owned();
        let license_key = license["key"].as_str().expect("a key").to_owned();
        let id = license["license"]["id"].as_str().expect("an identifier").to_owned();
        Self { api_key, license: id, license_key }
    }

    /// The body of a question about its license.
    pub fn question_body(&self) -> String {
        json!({ "licenseKey": self.license_key, "organizationId": "acme-org", "feature": "export" })
            .to_string()
    }

    /// The whole question.
    pub fn question(&self) -> Vec<u8> {
        let headers = [("x-api-key", self.api_key.as_str())];
        request("POST", VALIDATE, &headers, self.question_body().as_bytes())
    }
}
