//! Which requests an app answers, and with what.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{At, Name};

/// Requests, and what answers them: a function, a chain or static files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a route: a table with `path`")]
pub struct Route {
    /// Which paths. `{name}` stands for one segment and `{*rest}`, at the end, for all that remain.
    pub path: At<String>,
    /// Which methods; without it, all.
    pub methods: Option<At<Vec<Method>>>,
    /// Which host; without it, every host that no other route names.
    pub host: Option<At<String>>,
    /// The function that answers.
    pub(crate) function: Option<At<Name>>,
    /// The chain that answers.
    pub(crate) chain: Option<At<Name>>,
    /// A directory of files that answer, relative to the manifest. `{*rest}` in the path names the file.
    pub(crate) files: Option<At<PathBuf>>,
    /// Whether the function is handed the messages of a WebSocket.
    #[serde(default)]
    pub websocket: At<bool>,
    /// Functions that a request passes on its way to what answers it, the first one first.
    #[serde(default)]
    pub middleware: Vec<At<Name>>,
}

/// What answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The function of this name.
    Function(&'a Name),
    /// The chain of this name.
    Chain(&'a Name),
    /// The files of this directory, relative to the manifest.
    Files(&'a Path),
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // RFC 9110 says what each is.
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
}

impl Route {
    /// What answers.
    ///
    /// # Panics
    ///
    /// If the route is not from [`crate::Manifest::parse`], which refuses a route without a target.
    pub fn target(&self) -> Target<'_> {
        match (&self.function, &self.chain, &self.files) {
            (Some(function), ..) => Target::Function(function),
            (_, Some(chain), _) => Target::Chain(chain),
            (.., files) => Target::Files(files.as_ref().expect("a checked route has a target")),
        }
    }
}
