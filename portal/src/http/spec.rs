//! What an operation asks and answers, as constants that the rows of [`super::table`] are made of.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::table::shape;
use crate::api::{
    Page,
    schema::{Cursor, Limit},
};

/// Makes the schema of a type.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    /// None, or an empty object.
    Nothing,
    /// JSON.
    Json(Shape),
    /// JSON that may be left out.
    Optional(Shape),
    /// JSON, or single items as NDJSON, plain or packed with gzip.
    Batch(Shape),
}

/// The body of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Given {
    /// None.
    Nothing,
    /// JSON.
    Json(Shape),
    /// JSON, or a table.
    JsonOrCsv(Shape),
    /// Text of this media type.
    Text(&'static str),
}

/// Whether a change names the version that it is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// There is no version.
    No,
    /// It may.
    May,
    /// It must.
    Must,
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub shape: Shape,
    /// What it does.
    pub about: &'static str,
}

impl Param {
    /// A parameter.
    #[must_use]
    pub const fn new<T: JsonSchema>(name: &'static str, about: &'static str) -> Self {
        Self { name, shape: shape::<T>, about }
    }
}

const LIMIT: Param = Param::new::<Limit>("limit", "Entries of a page.");
const CURSOR: Param = Param::new::<Cursor>("cursor", "The `next` of the page before.");

/// What an operation asks and answers.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The body that is asked.
    pub asked: Asked,
    /// Parameters of the query.
    pub query: &'static [Param],
    /// Whether it is a list with pages.
    pub paged: bool,
    /// The status of a success.
    pub status: u16,
    /// Another status with the same body.
    pub other_status: Option<u16>,
    /// The body of a success.
    pub given: Given,
    /// Whether `If-Match` is taken.
    pub if_match: IfMatch,
    /// Whether `Idempotency-Key` is taken.
    pub idempotent: bool,
    /// Whether a success has an `ETag`.
    pub etag: bool,
    /// Whether a success has a `Location`.
    pub location: bool,
    /// Further statuses of refusals.
    pub refusals: &'static [u16],
    /// What else there is to know.
    pub more: &'static str,
}

impl Spec {
    const fn new(status: u16, given: Given) -> Self {
        Self {
            asked: Asked::Nothing,
            query: &[],
            paged: false,
            status,
            other_status: None,
            given,
            if_match: IfMatch::No,
            idempotent: false,
            etag: false,
            location: false,
            refusals: &[],
            more: "",
        }
    }

    /// Answers 200 and this.
    #[must_use]
    pub const fn gives<T: JsonSchema>() -> Self {
        Self::new(200, Given::Json(shape::<T>))
    }

    /// Answers a page of these.
    #[must_use]
    pub const fn lists<T: JsonSchema>() -> Self {
        Self { paged: true, ..Self::new(200, Given::Json(shape::<Page<T>>)) }
    }

    /// Answers 204.
    #[must_use]
    pub const fn done() -> Self {
        Self::new(204, Given::Nothing)
    }

    /// Answers a text.
    #[must_use]
    pub const fn text(media: &'static str) -> Self {
        Self::new(200, Given::Text(media))
    }

    /// Makes something: takes `Idempotency-Key`, answers 201 and this.
    #[must_use]
    pub const fn makes<T: JsonSchema>() -> Self {
        let new = Self::new(201, Given::Json(shape::<T>));
        Self { idempotent: true, refusals: &[409], ..new }
    }

    /// Queues a job: takes `Idempotency-Key`, answers 202, the job, and where it is.
    #[must_use]
    pub const fn queues<T: JsonSchema>() -> Self {
        let new = Self::new(202, Given::Json(shape::<T>));
        Self { idempotent: true, location: true, refusals: &[409], ..new }
    }

    /// Changes a version: needs `If-Match`, answers 200, this, and its `ETag`.
    #[must_use]
    pub const fn changes<T: JsonSchema>() -> Self {
        Self { if_match: IfMatch::Must, etag: true, refusals: &[409], ..Self::gives::<T>() }
    }

    /// With this body.
    #[must_use]
    pub const fn asks<T: JsonSchema>(self) -> Self {
        Self { asked: Asked::Json(shape::<T>), ..self }
    }

    /// With this body, or none.
    #[must_use]
    pub const fn may_ask<T: JsonSchema>(self) -> Self {
        Self { asked: Asked::Optional(shape::<T>), ..self }
    }

    /// With a batch.
    #[must_use]
    pub const fn takes_batch<T: JsonSchema>(self) -> Self {
        Self { asked: Asked::Batch(shape::<T>), ..self }
    }

    /// With these parameters.
    #[must_use]
    pub const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    /// And 200 when it was there already.
    #[must_use]
    pub const fn or_there(self) -> Self {
        Self { other_status: Some(200), ..self }
    }

    /// Or as a table.
    #[must_use]
    pub const fn or_csv(self) -> Self {
        match self.given {
            Given::Json(shape) => Self { given: Given::JsonOrCsv(shape), ..self },
            _ => self,
        }
    }

    /// `If-Match` may be given.
    #[must_use]
    pub const fn may_match(self) -> Self {
        Self { if_match: IfMatch::May, ..self }
    }

    /// `If-Match` must be given.
    #[must_use]
    pub const fn must_match(self) -> Self {
        Self { if_match: IfMatch::Must, ..self }
    }

    /// The answer has an `ETag`.
    #[must_use]
    pub const fn etag(self) -> Self {
        Self { etag: true, ..self }
    }

    /// The answer has a `Location`.
    #[must_use]
    pub const fn location(self) -> Self {
        Self { location: true, ..self }
    }

    /// `Idempotency-Key` is taken.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// It may be refused with these statuses, too.
    #[must_use]
    pub const fn refuses(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }

    /// What else there is to know.
    #[must_use]
    pub const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// The parameters of the query, those of pages included.
    #[must_use]
    pub fn params(&self) -> Vec<Param> {
        let pages: &[Param] = if self.paged { &[LIMIT, CURSOR] } else { &[] };
        self.query.iter().chain(pages).copied().collect()
    }
}
