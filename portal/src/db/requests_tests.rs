//! The migration on a database of before, the guards, and the indexes.

use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::{
    clock::ManualClock,
    db::{Db, PORTAL, tokens},
    error::Kind,
};

/// Version of the database before requests came.
const BEFORE: usize = 5;

fn text(connection: &Connection, sql: &str) -> Vec<(String, Option<String>)> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn tokens_and_tenants_of_before_get_their_maker_and_their_first_deployment() {
    let connection = Connection::open_in_memory().unwrap();
    for (_, sql) in &PORTAL.migrations[..BEFORE] {
        connection.execute_batch(sql).unwrap();
    }
    let token = |id: &str, name: &str, by: &str, revoked: bool| {
        let revoked = if revoked { "1" } else { "NULL" };
        let sql = format!(
            "INSERT INTO api_tokens (id, name, role, hash, prefix, last4, created_by, created_at, revoked_at)
             VALUES ('{id}', '{name}', 'owner', '{id}', 'p', 'l', '{by}', 1, {revoked})"
        );
        connection.execute_batch(&sql).unwrap();
    };
    connection
        .execute_batch(
            "INSERT INTO users (id, login, name, role, password, password_at, password_due, created_by, created_at, updated_at)
             VALUES ('u1', 'anna@example.com', 'Anna', 'owner', 'x', 1, 0, 'x', 1, 1);",
        )
        .unwrap();
    token("t1", "first-owner", "system", false);
    token("t2", "ci", "token:first-owner", true);
    token("t3", "by-old-ci", "token:ci", false);
    token("t4", "ci", "user:anna@example.com", false);
    token("t5", "by-new-ci", "token:ci", false);
    token("t6", "by-nobody", "user:gone@example.com", false);
    connection
        .execute_batch(
            "INSERT INTO hosts (id, name, state, created_at, updated_at) VALUES ('h', 'h', 'new', 1, 1);
             INSERT INTO blueprints VALUES ('shop', '', 'x', 1);",
        )
        .unwrap();
    for (slug, status, release, kept) in [
        ("runs", "active", "1", "[]"),
        ("stuck", "failed", "1", "[]"),
        ("kept", "removed", "NULL", "[\"v\"]"),
        ("new", "pending", "NULL", "[]"),
        ("never", "failed", "NULL", "[]"),
    ] {
        let sql = format!(
            "INSERT INTO tenants (id, slug, name, domain, host_id, blueprint, release_wanted, release_deployed, status,
                certificate, kept_volumes, created_by, created_at, updated_at)
             VALUES ('{slug}', '{slug}', 'T', '{slug}', 'h', 'shop', 1, {release}, '{status}', '{{}}', '{kept}', 'x', 1, 9)"
        );
        connection.execute_batch(&sql).unwrap();
    }
    let (_, sql) = PORTAL.migrations[BEFORE];
    connection.execute_batch(sql).unwrap();
    let made = text(&connection, "SELECT id, made_by FROM api_tokens ORDER BY id");
    let wanted = [("t1", None), ("t2", Some("t1")), ("t3", Some("t2")), ("t4", Some("u1"))];
    let wanted = wanted.iter().chain(&[("t5", Some("t4")), ("t6", None)]);
    let wanted: Vec<_> = wanted.map(|(id, by)| ((*id).to_owned(), by.map(str::to_owned))).collect();
    assert_eq!(made, wanted);
    let ran = text(&connection, "SELECT id, deployed_at || '' FROM tenants ORDER BY id");
    let ran: Vec<_> = ran.iter().filter(|(_, at)| at.is_some()).map(|(id, _)| &**id).collect();
    assert_eq!(ran, ["kept", "runs", "stuck"]);
}

fn open(dir: &std::path::Path) -> Db {
    let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
    Db::open(&dir.join("portal.db"), Arc::new(clock)).unwrap()
}

#[test]
fn a_person_is_found_through_all_tokens_that_made_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let add = |tx: &Tx<'_>, id: &str, by: Option<&str>| -> Result<(), AppError> {
        tx.sql().execute(
            "INSERT INTO api_tokens (id, name, role, hash, prefix, last4, created_by, created_at, made_by)
             VALUES (?1, ?1, 'owner', ?1, 'p', 'l', 'x', 1, ?2)",
            params![id, by],
        )?;
        Ok(())
    };
    db.write(move |tx| {
        add(tx, "a", Some("anna"))?;
        add(tx, "b", Some("a"))?;
        add(tx, "first", None)?;
        add(tx, "c", Some("first"))?;
        add(tx, "round", Some("about"))?;
        add(tx, "about", Some("round"))
    })
    .unwrap();
    let person = |id: &str| db.read(|read| tokens::person(read, id));
    assert!(person("b").unwrap().is(&person("anna").unwrap()));
    assert!(person("b").unwrap().is(&person("a").unwrap()));
    assert!(person("c").unwrap().is(&person("first").unwrap()));
    assert!(!person("c").unwrap().is(&person("b").unwrap()));
    // It cannot be, and must not hang the writer.
    assert_eq!(person("round").unwrap_err().kind, Kind::Internal);
}

#[test]
fn what_every_dispatch_and_every_report_asks_is_found_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for (sql, index) in [
        ("SELECT id, digest FROM requests WHERE job_id = 'x'", "requests_by_job"),
        ("SELECT id FROM requests WHERE slug = 'x' AND status = 'pending'", "requests_slug"),
        ("SELECT id FROM requests WHERE domain = 'x' AND status = 'pending'", "requests_domain"),
        ("SELECT count(*) FROM requests WHERE status = 'pending'", "requests_by_status"),
    ] {
        let plan: String = db
            .read(|read| {
                let sql = format!("EXPLAIN QUERY PLAN {sql}");
                Ok(read.sql().query_row(&sql, [], |row| row.get(3))?)
            })
            .unwrap();
        assert!(plan.contains(index), "{sql}: {plan}");
    }
}
