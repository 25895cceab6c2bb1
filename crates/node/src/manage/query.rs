//! What stands in an address: percent-encoded names (RFC 3986, section 2.1).

use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::Refusal;

/// The part of an address behind `?`.
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn of(query: &'a str) -> Self {
        Self(query)
    }

    /// The value of `name`; `None` where it is missing or empty.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(found, value)| *found == name && !value.is_empty())?;
        Some(bytes(value))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        self.bytes(name).map(utf8).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = |_| Refusal::new(StatusCode::BAD_REQUEST, format!("`{name}` is not a number"));
        text.parse().map(Some).map_err(wrong)
    }
}

/// What an encoded part of a path stands for.
pub(super) fn bytes(encoded: &str) -> Vec<u8> {
    percent_decode_str(encoded).collect()
}

/// The same, where it must be text.
pub(super) fn text(encoded: &str) -> Result<String, Refusal> {
    utf8(bytes(encoded))
}

fn utf8(bytes: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(bytes).map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the address is not UTF-8"))
}
