//! Sizes and times, as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes. Written `65536`, `64K`, `512M`, `4G` or `1T`, also with `B` or `iB` behind; `K` is 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time. Written `250ms`, `5s`, `30d`, or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// The units of sizes from the largest, each with the power of two that it stands for.
const UNITS: [(&str, u32); 4] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is not a size, such as `64K`, `512M` or `4G`");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.to_ascii_uppercase();
        let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit);
        let shift = match UNITS.into_iter().find(|(name, _)| *name == unit) {
            Some((_, shift)) => shift,
            None if unit.is_empty() => 0,
            None => return Err(unknown()),
        };
        let number = number.parse::<u64>().map_err(|_| unknown())?;
        number.checked_mul(1 << shift).map(Bytes).ok_or_else(|| format!("the size `{text}` is too large"))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.into_iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift) {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Time)
            .map_err(|_| format!("`{text}` is not a time, such as `250ms`, `5s` or `30d`"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// What [`Bytes`] and [`Time`] have in common: they travel as text.
macro_rules! travels_as_text {
    ($type:ident, $expected:literal, $schema:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
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

travels_as_text!(
    Bytes,
    "a size such as \"64M\"",
    json_schema!({
        "description": "A number of bytes: `64K`, `512M`, `4G` or `1T`; `K` is 1,024.",
        "type": "string",
        "pattern": "^[0-9]+([KkMmGgTt]?([Ii]?[Bb])?)$",
    })
);
travels_as_text!(
    Time,
    "a time such as \"5s\"",
    json_schema!({
        "description": "A length of time: `250ms`, `5s`, `30d`, or `1h 30m`.",
        "type": "string",
        "pattern": "^[0-9]+ *[a-zA-Zµ]+( *[0-9]+ *[a-zA-Zµ]+)*$",
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_it_is_shown() {
        for text in ["0", "1", "1023", "64K", "65M", "4G", "16777215T"] {
            assert_eq!(text.parse::<Bytes>().expect(text).to_string(), text);
        }
        for (text, bytes) in [("64kib", 64 << 10), ("8MiB", 8 << 20), ("1KB", 1 << 10), ("7b", 7)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "K", "-1", "+1", "1.5G", "1 G", "1i", "1P", "16777216T", "99999999999999999999"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_read_as_it_is_shown() {
        for text in ["0s", "250ms", "5s", "1h 30m"] {
            assert_eq!(text.parse::<Time>().expect(text).to_string(), text);
        }
        assert_eq!("30d".parse::<Time>().expect("a time").to_string().parse(), "30d".parse::<Time>());
        for text in ["", "5", "s", "-5s", "99999999999999999999s"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
