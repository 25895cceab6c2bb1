//! What nearly every worker begins with, made by the zygote before it knows of any app: an engine, and what stands behind
//! the imports of components. Copies share its memory.

use std::sync::Arc;

use engine::Engine;
use host::link;
use image::Manifest;

use crate::Error;
use crate::error::Words;
use crate::load::{settings, slots};

/// A function of which nothing is said.
const PLAIN: &str = "[app]\nname = \"any\"\nversion = \"0.0.0\"\n\
                     [functions.any]\nprogram = \"any.wasm\"\nprofile = \"sealed\"\n";

pub(crate) struct Ready {
    pub(crate) engine: Arc<Engine>,
    /// For components of that engine.
    pub(crate) link: link::Ready,
}

impl Ready {
    /// Without a thread: only one is copied.
    pub(super) fn new() -> Result<Self, Error> {
        let manifest = Manifest::parse(PLAIN, "sampan.toml")?;
        let declared = &manifest.functions["any"];
        let failed =
            |reason: String| Error::Worker { function: "any".to_owned(), source: Words::new(&reason) };
        let settings = settings(declared, slots(&manifest)).map_err(|(_, reason)| failed(reason))?;
        let engine = Engine::new(settings).map_err(|error| failed(error.to_string()))?;
        let link = link::Ready::new(engine.wasmtime()).map_err(|error| failed(error.to_string()))?;
        Ok(Self { engine: Arc::new(engine), link })
    }
}
