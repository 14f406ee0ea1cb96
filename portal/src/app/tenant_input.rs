//! What an admin writes about a tenant → values that only parse. All wrong fields at once.

use std::{collections::BTreeMap, str::FromStr};

use freehold_protocol::{blueprint::Blueprint, ids::ParseIdError, job::CertificateSource};

use crate::{
    api::tenants::{Certificate, MAX_NAME_CHARS},
    error::{AppError, Kind},
};

/// Collects wrong fields.
#[derive(Debug, Default)]
pub struct Fields(Option<AppError>);

impl Fields {
    /// Notes a wrong field.
    pub fn refuse(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        let error = self
            .0
            .take()
            .unwrap_or_else(|| AppError::new(Kind::Invalid, "invalid", "some fields were refused"));
        self.0 = Some(error.field(pointer, detail));
    }

    /// Parses a field.
    pub fn parse<T: FromStr<Err = ParseIdError>>(
        &mut self,
        pointer: &str,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(pointer, error.to_string());
                None
            }
        }
    }

    /// Parses a field that may be absent.
    pub fn parse_optional<T: FromStr<Err = ParseIdError>>(
        &mut self,
        pointer: &str,
        text: Option<&str>,
    ) -> Option<T> {
        text.and_then(|text| self.parse(pointer, text))
    }

    /// Checks a name that people write.
    pub fn person_text(&mut self, pointer: &str, text: &str) {
        let count = text.chars().count();
        if text.trim() != text
            || !(1..=MAX_NAME_CHARS).contains(&count)
            || text.chars().any(char::is_control)
        {
            self.refuse(
                pointer,
                format!("use 1 to {MAX_NAME_CHARS} characters without line breaks and without spaces at the ends"),
            );
        }
    }

    /// Parses where a certificate comes from.
    pub fn certificate(&mut self, certificate: Option<&Certificate>) -> CertificateSource {
        let Some(certificate) = certificate else { return CertificateSource::Acme };
        match (certificate.source.as_str(), &certificate.name) {
            ("acme", None) => CertificateSource::Acme,
            ("acme", Some(_)) => {
                self.refuse("/certificate/name", "leave it out with the source acme");
                CertificateSource::Acme
            }
            ("installed", Some(name)) => self
                .parse("/certificate/name", name)
                .map_or(CertificateSource::Acme, |name| CertificateSource::Installed { name }),
            ("installed", None) => {
                self.refuse(
                    "/certificate/name",
                    "name the folder of the certificate under the agent's certificate directory",
                );
                CertificateSource::Acme
            }
            _ => {
                self.refuse("/certificate/source", "use acme or installed");
                CertificateSource::Acme
            }
        }
    }

    /// Checks settings against what the blueprint declares.
    pub fn settings(&mut self, blueprint: &Blueprint, settings: &BTreeMap<String, String>) {
        let declared = &blueprint.freehold.settings;
        for (name, value) in settings {
            let pointer = format!("/settings/{}", name.replace('~', "~0").replace('/', "~1"));
            match declared.iter().find(|(var, _)| var.as_str() == name) {
                Some((_, spec)) => {
                    if let Err(why) = spec.kind.check_value(value) {
                        self.refuse(pointer, format!("the value {why}"));
                    }
                }
                None => {
                    let known: Vec<&str> = declared.keys().map(|var| var.as_str()).collect();
                    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                    self.refuse(
                        pointer,
                        format!("the blueprint has no such setting; it has {known}"),
                    );
                }
            }
        }
    }

    /// Asks for a value of every setting that has no default and is required.
    pub fn required_settings(
        &mut self,
        blueprint: &Blueprint,
        settings: &BTreeMap<String, String>,
    ) {
        for (var, spec) in &blueprint.freehold.settings {
            if spec.required && spec.default.is_none() && !settings.contains_key(var.as_str()) {
                self.refuse(
                    format!("/settings/{}", var.as_str()),
                    "the blueprint requires a value for this setting",
                );
            }
        }
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// When a field was refused.
    pub fn done(self) -> Result<(), AppError> {
        self.0.map_or(Ok(()), Err)
    }
}

/// A value that was there unless [`Fields::done`] has failed.
///
/// # Errors
/// A defect.
pub fn given<T>(value: Option<T>) -> Result<T, AppError> {
    value.ok_or_else(|| AppError::bug("a refused field was used"))
}
