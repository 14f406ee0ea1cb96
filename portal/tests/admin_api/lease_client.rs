//! The Rust client of docs/licenses.md, word for word; `leases.rs` runs it and compares it with the page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

pub struct Kept {
    pub seq: i64,
    pub latest: i64,
}

pub fn check_lease(
    lease: &str,
    keys: &[(String, [u8; 32])],
    issuer: &str,
    product: &str,
    kept: &mut Kept,
    now: i64,
) -> Result<Value, &'static str> {
    const NONE: &str = "this is no lease";
    const FORGED: &str = "not signed for this app";
    let (signed, signature) = lease.rsplit_once('.').ok_or(NONE)?;
    let (header, claims) = signed.split_once('.').ok_or(NONE)?;
    let json = |part: &str| {
        let bytes = B64.decode(part).map_err(|_| NONE)?;
        serde_json::from_slice::<Value>(&bytes).map_err(|_| NONE)
    };
    let header = json(header)?;
    if header["alg"] != "EdDSA" || header["typ"] != "freehold-lease+jwt" {
        return Err(NONE);
    }
    let (_, key) = keys.iter().find(|(kid, _)| header["kid"] == **kid).ok_or(FORGED)?;
    let signature = B64.decode(signature).map_err(|_| FORGED)?;
    let signature = Signature::from_slice(&signature).map_err(|_| FORGED)?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| FORGED)?;
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| FORGED)?;
    let claims = json(claims)?;
    let mine = claims["aud"].as_array().is_some_and(|aud| aud.iter().any(|name| name == product));
    if claims["iss"] != issuer || !mine {
        return Err("made out to somebody else");
    }
    let number = |value: &Value| value.as_i64().ok_or(NONE);
    let seq = number(&claims["fh"]["seq"])?;
    let (iat, exp) = (number(&claims["iat"])?, number(&claims["exp"])?);
    if seq < kept.seq {
        return Err("an older lease was put back");
    }
    if now < iat - 300 {
        return Err("the clock is behind");
    }
    if now < kept.latest - 300 {
        return Err("the clock was turned back");
    }
    if now >= exp {
        return Err("the lease has ended");
    }
    *kept = Kept { seq, latest: kept.latest.max(now).max(iat) };
    Ok(claims)
}
