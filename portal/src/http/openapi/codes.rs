//! The closed list of codes of problem documents, by status. A program may rely on it: codes are only added.
//! Each one that is sent is checked against it in development builds, and a test finds those in the sources.

/// Status, title, and the codes that come with it.
pub const CODES: &[(u16, &str, &[&str])] = &[
    (
        400,
        "Not JSON, or a bad query parameter or header",
        &[
            "bad_gzip",
            "bad_idempotency_key",
            "bad_if_match",
            "bad_query",
            "body_missing",
            "malformed_json",
            "malformed_request",
            "repeated_header",
            "two_api_keys",
        ],
    ),
    (
        401,
        "Nobody that is known",
        &[
            "access_expired",
            "agent_revoked",
            "agent_unknown",
            "api_key_malformed",
            "api_key_missing",
            "api_key_replaced",
            "api_key_revoked",
            "api_key_unknown",
            "clock_skew",
            "content_digest",
            "enrollment_refused",
            "login_failed",
            "nonce_repeated",
            "refresh_malformed",
            "refresh_reused",
            "refresh_unknown",
            "session_ended",
            "signature_form",
            "signature_invalid",
            "signature_missing",
            "token_expired",
            "token_malformed",
            "token_missing",
            "token_revoked",
            "token_unknown",
        ],
    ),
    (
        403,
        "A role or a limit does not allow it",
        &[
            "beyond_tenant",
            "forbidden",
            "four_eyes",
            "not_yours",
            "own_role",
            "password_due",
            "tenant_mismatch",
            "users_only",
            "wrong_password",
        ],
    ),
    (404, "No such thing, or no such address", &["no_credentials", "not_found", "unknown_address"]),
    (405, "Another method; see Allow", &["method_not_allowed"]),
    (
        409,
        "The state does not allow it",
        &[
            "already_created",
            "approval_required",
            "approved_as_is",
            "batch_id_reused",
            "cannot_delete",
            "cannot_retry",
            "capacity_short",
            "chain_set_back",
            "customer_in_use",
            "data_kept",
            "domain_taken",
            "host_full",
            "host_in_use",
            "host_name_taken",
            "host_revoked",
            "job_at_rest",
            "key_does_not_open",
            "key_is_credential",
            "key_not_delivered",
            "key_not_used",
            "key_not_valid",
            "last_owner",
            "license_not_valid",
            "license_revoked",
            "license_status",
            "login_taken",
            "name_taken",
            "no_conflict",
            "not_deployed",
            "not_enrolled",
            "not_proven",
            "not_stuck",
            "organization_taken",
            "overtaken",
            "password_changed",
            "plan_in_use",
            "public_url_missing",
            "request_outdated",
            "request_status",
            "requests_full",
            "root_offline",
            "tenant_busy",
            "tenant_deployed",
            "tenant_removed",
            "too_many_keys",
            "too_many_releases",
            "too_many_users",
            "transition_refused",
            "work_changed",
        ],
    ),
    (
        410,
        "It was shown already, or its time is over",
        &["credentials_shown", "enrollment_expired", "enrollment_revoked", "enrollment_used"],
    ),
    (412, "Changed meanwhile", &["changed_meanwhile"]),
    (413, "The body is too large", &["body_too_large", "inflated_too_large", "too_many_items"]),
    (415, "Another media type than is taken", &["unsupported_media_type"]),
    (
        422,
        "Fields were refused",
        &["blueprint_refused", "idempotency_key_reused", "invalid", "report_refused"],
    ),
    (428, "If-Match is missing", &["if_match_required"]),
    (
        429,
        "Too many requests; try again after Retry-After seconds",
        &[
            "login_locked",
            "quota_exceeded",
            "too_many_failures",
            "too_many_keys_made",
            "too_many_requests",
        ],
    ),
    (500, "A defect of the portal", &["internal"]),
    (
        503,
        "Not now; try again after Retry-After seconds",
        &[
            "disk_low",
            "ingest_busy",
            "storage_failed",
            "too_many_connections",
            "too_much_data",
            "too_many_logins",
        ],
    ),
];

/// Whether a status and a code are one of the list.
#[must_use]
pub fn is_listed(status: u16, code: &str) -> bool {
    CODES.iter().any(|(known, _, codes)| *known == status && codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(folder: &std::path::Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if !path.to_str().unwrap().contains("test") {
                let text = std::fs::read_to_string(&path).unwrap();
                into.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_code_of_the_sources_is_listed() {
        let mut all = Vec::new();
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        let mut seen = 0;
        for text in &all {
            let news = text.split("AppError::new(").skip(1).filter_map(|call| call.split_once(','));
            let conflicts =
                text.split("AppError::conflict(").skip(1).map(|call| ("Kind::Conflict", call));
            for (kind, rest) in news.chain(conflicts) {
                // `TooMany { retry_after_secs: 10 }` has no comma inside.
                let Some(code) = rest.trim_start().strip_prefix('"') else { continue };
                let code = code.split('"').next().unwrap();
                let listed = CODES.iter().any(|(_, _, codes)| codes.contains(&code));
                assert!(listed, "{kind} {code} is not in the list of codes");
                seen += 1;
            }
        }
        assert!(seen > 80, "{seen}");
    }

    #[test]
    fn no_code_is_listed_twice() {
        let mut all: Vec<_> = CODES.iter().flat_map(|(_, _, codes)| *codes).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
