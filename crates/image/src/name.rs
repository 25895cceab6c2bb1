//! Names and versions: short texts with a rule.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits::{NAME_BYTES_MAX, VERSION_BYTES_MAX};

/// The name of an app, function, bucket, blob store, chain or step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name(String);

/// A version: three numbers, and what may follow them in semantic versioning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Version(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.bytes().all(allowed) {
            return Err(format!(
                "`{text}` is not a name: a letter from a to z, then letters, digits and `-`, all in lower case"
            ));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(format!("the name `{text}` is longer than {NAME_BYTES_MAX} bytes"));
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let suffix = text[numbers.len()..].bytes();
        let number =
            |part: &str| part.parse::<u64>().is_ok() && (part == "0" || !part.starts_with(['0', '+']));
        let versioned = numbers.split('.').count() == 3
            && numbers.split('.').all(number)
            && suffix.len() != 1
            && suffix.clone().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'+' | b'.'))
            && text.len() <= VERSION_BYTES_MAX;
        match versioned {
            true => Ok(Self(text)),
            false => Err(format!("`{text}` is not a version, such as `0.1.0` or `1.0.0-rc.1`")),
        }
    }
}

/// What [`Name`] and [`Version`] have in common: texts from outside, checked as they come in.
macro_rules! checked_text {
    ($type:ident, $schema:expr) => {
        impl Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

checked_text!(
    Name,
    json_schema!({
        "description": "A letter from a to z, then letters, digits and `-`, all in lower case.",
        "type": "string",
        "pattern": "^[a-z][a-z0-9-]*$",
        "maxLength": NAME_BYTES_MAX,
    })
);
checked_text!(
    Version,
    json_schema!({
        "description": "Three numbers, and what may follow them in semantic versioning.",
        "type": "string",
        "pattern": r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-+][0-9A-Za-z.+-]+)?$",
        "maxLength": VERSION_BYTES_MAX,
    })
);
