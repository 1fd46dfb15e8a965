//! Values that travel once and are never shown again.

use domain::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of an environment, or an API key in the one answer that hands it out. Debug output shows `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretText(Secret);

impl SecretText {
    /// Keeps a text secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The domain's form.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.0
    }
}

impl Serialize for SecretText {
    /// For clients, which hand it in, and for the answer that hands out a new API key.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
