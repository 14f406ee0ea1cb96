//! The document and what serves agree, both ways.

use super::*;
use crate::http::{route::parse, server::Method};

const ID: &str = "0190a000-0000-7000-8000-000000000001";

/// An address of a template.
fn address(operation: &Operation) -> String {
    operation.parts.iter().fold(operation.path.to_owned(), |path, part| {
        let value = match part.name {
            "id" | "user" => ID,
            "number" => "3",
            _ => "acme",
        };
        path.replace(&format!("{{{}}}", part.name), value)
    })
}

#[test]
fn every_operation_is_served_where_the_document_says() {
    let document = document();
    let mut seen = 0;
    for operation in route::operations() {
        let path = address(&operation);
        assert!(!path.contains('{'), "{path}: a part of the template is not one of the route");
        let route =
            parse(operation.method, &path).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(route.template(), operation.path, "{path} is answered by another route");
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = &document["paths"][operation.path][&method];
        assert_eq!(described["operationId"], operation.id(), "{method} {path}");
        seen += 1;
    }
    let in_document: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|item| item.as_object().unwrap().len())
        .sum();
    assert_eq!(in_document, seen + route::ALIASES.len());
}

#[test]
fn an_address_has_the_methods_of_the_document_and_no_other() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let address = route::operations()
            .iter()
            .find(|operation| operation.path == path)
            .map_or_else(|| path.clone(), address);
        for method in [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete] {
            let there = item.get(method.as_str().to_ascii_lowercase()).is_some();
            assert_eq!(parse(method, &address).is_ok(), there, "{method} {address}");
        }
    }
}

#[test]
fn names_of_operations_are_their_own() {
    let mut ids: Vec<String> = route::operations().iter().map(Operation::id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let text = document.to_string();
    let mut seen = 0;
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
        seen += 1;
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn what_admins_send_denies_unknown_fields() {
    let document = document();
    for operation in route::operations() {
        let (Access::Admin(_), Asked::Json(_) | Asked::Optional(_)) =
            (operation.access, operation.spec.asked)
        else {
            continue;
        };
        let method = operation.method.as_str().to_ascii_lowercase();
        let body = &document["paths"][operation.path][&method]["requestBody"];
        let schema = &body["content"][JSON]["schema"];
        let schema =
            schema["$ref"].as_str().map_or(schema, |it| document.pointer(&it[1..]).unwrap());
        // Settings are whatever pages keep.
        if operation.name != "UpdateSettings" {
            assert_eq!(schema["additionalProperties"], false, "{}: {schema}", operation.name);
        }
    }
}
