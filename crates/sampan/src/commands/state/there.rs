//! The buckets of an app that runs, through its node.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Buckets, EachKey};
use crate::client::Client;
use crate::report::Report;

/// A node.
pub(super) struct There(pub(super) Client);

impl Buckets for There {
    fn list(&self) -> Result<Vec<Value>, Report> {
        match self.0.ask("GET", "/api/state")?.json()?["buckets"].take() {
            Value::Array(buckets) => Ok(buckets),
            _ => Ok(Vec::new()),
        }
    }

    fn keys(&self, bucket: &str, prefix: &str, each: EachKey<'_>) -> Result<(), Report> {
        let path = format!("/api/state/{}?prefix={}", encoded(bucket), encoded(prefix));
        let mut after = String::new();
        loop {
            let page = self.0.ask("GET", &format!("{path}&after={after}"))?.json()?;
            let keys = page["keys"].as_array().into_iter().flatten();
            keys.filter_map(key).try_for_each(&mut *each)?;
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return Ok(()),
            }
        }
    }

    fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, Report> {
        self.0.ask("GET", &place(bucket, key))?.whole()
    }

    fn put(&self, bucket: &str, key: &str, value: Vec<u8>) -> Result<(), Report> {
        self.0.send("PUT", &place(bucket, key), "application/octet-stream", value).map(drop)
    }

    fn remove(&self, bucket: &str, key: &str) -> Result<(), Report> {
        self.0.ask("DELETE", &place(bucket, key)).map(drop)
    }

    fn export(&self, bucket: &str, to: &mut dyn Write) -> Result<(), Report> {
        let mut answer = self.0.ask("GET", &format!("/api/export/{}", encoded(bucket)))?;
        while let Some(piece) = answer.piece()? {
            to.write_all(&piece).map_err(unwritten)?;
        }
        to.flush().map_err(unwritten)
    }

    fn import(&self, bucket: &str, from: Box<dyn Read + Send>) -> Result<u64, Report> {
        let told = self.0.pour(&format!("/api/import/{}", encoded(bucket)), from)?.json()?;
        Ok(told["entries"].as_u64().unwrap_or_default())
    }
}

fn place(bucket: &str, key: &str) -> String {
    format!("/api/state/{}/{}", encoded(bucket), encoded(key))
}

fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn key(listed: &Value) -> Option<Vec<u8>> {
    match (listed["key"].as_str(), listed["key_base64"].as_str()) {
        (Some(key), _) => Some(key.as_bytes().to_owned()),
        (None, Some(key)) => STANDARD.decode(key).ok(),
        (None, None) => None,
    }
}

fn unwritten(error: io::Error) -> Report {
    Report::failure("cannot write to standard output").cause(error)
}
