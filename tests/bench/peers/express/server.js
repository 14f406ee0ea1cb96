// License validation as a small Express service would do it: the same question, the same rows, the same
// answer as the portal's. Express and better-sqlite3 only; one process, as it is usually started.
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import Database from "better-sqlite3";
import express from "express";

const [port, file, apiKey, licenseKey] = process.argv.slice(2);
const secret = Buffer.alloc(32, 7);
const hashed = (text) => createHmac("sha256", secret).update(text).digest("hex");

const db = new Database(file);
db.pragma("journal_mode = WAL");
db.exec(`CREATE TABLE IF NOT EXISTS api_keys (hash TEXT PRIMARY KEY, tenant TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS licenses (hash TEXT PRIMARY KEY, organization TEXT NOT NULL, status TEXT NOT NULL,
  tier TEXT NOT NULL, products TEXT NOT NULL, features TEXT NOT NULL, limits TEXT NOT NULL, expires_at INTEGER NOT NULL)`);
db.prepare("INSERT OR REPLACE INTO api_keys VALUES (?, 'acme')").run(hashed(apiKey));
db.prepare("INSERT OR REPLACE INTO licenses VALUES (?, 'acme-org', 'active', 'pro', '[\"shop\"]', '[\"export\"]', '{}', ?)")
  .run(hashed(licenseKey), Date.now() + 86400e3 * 30);
const keyByHash = db.prepare("SELECT tenant FROM api_keys WHERE hash = ?");
const licenseByHash = db.prepare("SELECT * FROM licenses WHERE hash = ?");

const { privateKey } = generateKeyPairSync("ed25519");
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
let kept = { until: 0, lease: "" };
function lease(row) {
  // Kept for a minute, as the portal keeps it.
  const now = Date.now();
  if (now > kept.until) {
    const text = `${encoded({ alg: "EdDSA", typ: "freehold-lease+jwt" })}.${encoded({
      sub: row.organization, tier: row.tier, exp: Math.floor(now / 1000) + 86400 })}`;
    kept = { until: now + 60000, lease: `${text}.${sign(null, Buffer.from(text), privateKey).toString("base64url")}` };
  }
  return kept.lease;
}

const app = express();
app.use(express.json());
app.post("/api/v1/licenses/validate", (request, response) => {
  const key = keyByHash.get(hashed(request.get("x-api-key") ?? ""));
  if (!key) return response.status(401).json({ code: "api_key_unknown" });
  const { licenseKey, organizationId, feature } = request.body;
  const row = licenseByHash.get(hashed(String(licenseKey)));
  const no = (code) => response.json({ valid: false, code });
  if (!row) return no("NOT_FOUND");
  if (row.organization !== organizationId) return no("ORGANIZATION_MISMATCH");
  if (row.status !== "active") return no("SUSPENDED");
  if (row.expires_at < Date.now()) return no("EXPIRED");
  const features = JSON.parse(row.features);
  if (feature && !features.includes(feature)) return no("FEATURE_NOT_LICENSED");
  response.json({
    valid: true, code: "VALID",
    license: { status: row.status, tier: row.tier, products: JSON.parse(row.products), features,
      limits: JSON.parse(row.limits), expiresAt: new Date(row.expires_at).toISOString() },
    lease: lease(row),
  });
});
app.listen(Number(port), "127.0.0.1");
