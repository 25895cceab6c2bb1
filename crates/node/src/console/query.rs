//! What is asked behind the `?` of an address. Keys of buckets are any bytes, so values are too.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// The pairs of a query, percent-decoded.
pub(super) struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (name.to_owned(), decode(value))).collect())
    }

    /// The value called `name`; empty is none.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value called `name` as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.bytes(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// The bytes as a value of a query.
pub(super) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, NON_ALPHANUMERIC).to_string()
}

fn decode(value: &str) -> Vec<u8> {
    percent_decode_str(&value.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Query, encode};

    #[test]
    fn any_bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let query = Query::parse(&format!("a=1&key={}&b=%zz%4", encode(&bytes)));
        assert_eq!(query.bytes("key"), Some(&bytes[..]));
        assert_eq!(query.text("b").as_deref(), Some("%zz%4"));
        assert_eq!(query.bytes("c"), None);
    }
}
