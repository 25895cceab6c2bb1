//! The manifest of an app, `sampan.toml`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use crate::error::Problems;
use crate::limits::MANIFEST_BYTES_MAX;
use crate::source::Source;
use crate::{At, Blobs, Bucket, Chain, Error, Function, Name, Problem, Route, Version, check, refusal};

/// An app: its programs, what calls them, what they may touch, and what they remember.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the app is.
    pub app: App,
    /// The programs, by the name that routes, chains and grants use.
    #[serde(default)]
    pub functions: BTreeMap<At<Name>, Function>,
    /// Which requests are answered, and with what.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Key-value spaces.
    #[serde(default)]
    pub buckets: BTreeMap<At<Name>, Bucket>,
    /// Stores of large values.
    #[serde(default)]
    pub blobs: BTreeMap<At<Name>, Blobs>,
    /// Functions that call each other.
    #[serde(default)]
    pub chains: BTreeMap<At<Name>, Chain>,
    #[serde(skip)]
    pub(crate) source: Source,
}

/// What an app is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with `name` and `version`")]
pub struct App {
    /// Its name.
    pub name: At<Name>,
    /// Its version.
    pub version: Version,
    /// What it does, in a line.
    pub description: Option<String>,
}

impl Manifest {
    /// The manifest in `text`, which errors call `file`.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]; [`Error::Invalid`] with the first thing that does not parse, or with everything that
    /// parses and cannot be meant.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(Error::TooLarge { file: file.to_owned() });
        }
        let source = Source::new(text, file);
        let mut manifest: Self = match toml::from_str(text) {
            Ok(manifest) => manifest,
            Err(error) => {
                let problem = refusal::problem(&error, &source);
                return Err(Error::Invalid(Problems::new(source, vec![problem])));
            }
        };
        manifest.source = source;
        let problems = check::check(&manifest);
        if problems.is_empty() { Ok(manifest) } else { Err(manifest.error(problems)) }
    }

    /// A manifest with nothing but one function, changed, its buckets and its containers, as text: what a process is told
    /// that runs only that. What it may call is not in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn alone(
        &self,
        name: &Name,
        change: impl FnOnce(&mut Function),
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let mut function = self.functions[&**name as &str].clone();
        change(&mut function);
        function.grants.calls.clear();
        let named = |names: &[At<Name>], name: &Name| names.iter().any(|granted| **granted == *name);
        let buckets = self.buckets.iter().filter(|(name, _)| named(&function.grants.buckets, name));
        let blobs = self.blobs.iter().filter(|(name, _)| named(&function.grants.blobs, name));
        Ok(toml::to_string(&Self {
            app: self.app.clone(),
            buckets: buckets.map(|(name, bucket)| (name.clone(), bucket.clone())).collect(),
            blobs: blobs.map(|(name, blobs)| (name.clone(), blobs.clone())).collect(),
            functions: BTreeMap::from([(At::from(name.clone()), function)]),
            routes: Vec::new(),
            chains: BTreeMap::new(),
            source: Source::default(),
        })?)
    }

    /// The error that shows `problems`, found by whoever uses the manifest, where they are written in it.
    pub fn error(&self, problems: Vec<Problem>) -> Error {
        Error::Invalid(Problems::new(self.source.clone(), problems))
    }

    /// The JSON Schema of a manifest, for editors.
    pub fn schema() -> String {
        format!("{:#}\n", schema_for!(Manifest).as_value())
    }
}
