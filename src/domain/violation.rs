//! What is wrong with what a user handed in, field by field.

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, like `timeouts.heartbeat_ms` or `labels.team`.
    pub field: String,
    /// What it must be, in words that follow the field's name.
    pub message: String,
}

/// All broken rules of one request, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} against the rules", self.summary())]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// One broken rule.
    #[must_use]
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![Violation { field: field.into(), message: message.into() }])
    }

    fn summary(&self) -> String {
        let fields: Vec<&str> = self.0.iter().map(|violation| violation.field.as_str()).collect();
        format!("{} {}", fields.join(", "), if fields.len() == 1 { "is" } else { "are" })
    }
}

/// Collects broken rules while a request is read, so that all are told at once.
#[derive(Debug, Default)]
pub struct Review {
    found: Vec<Violation>,
}

impl Review {
    /// Nothing found yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `field` breaks a rule.
    pub fn note(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.found.push(Violation { field: field.into(), message: message.into() });
    }

    /// Notes that `field` breaks a rule unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.note(field, message);
        }
    }

    /// Takes the value, or notes its error for `field`.
    pub fn take<T, E: std::fmt::Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.note(field, error.to_string())).ok()
    }

    /// Ends the review.
    ///
    /// # Errors
    /// All that was noted, when anything was.
    pub fn finish(self) -> Result<(), Violations> {
        if self.found.is_empty() { Ok(()) } else { Err(Violations(self.found)) }
    }
}
