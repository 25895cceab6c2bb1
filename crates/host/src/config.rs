//! `wasi:config`: the configuration that an app gives a function.

use wasmtime::component::Linker;

use crate::Host;
use crate::host::{App, AppView};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import wasi:config/store@0.2.0-rc.1;",
    });
}

use generated::wasi::config::store::{self, Error};

impl store::Host for AppView<'_> {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.bindings.and_then(|bindings| bindings.config.get(&key)).cloned())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        let config = self.bindings.map(|bindings| &bindings.config);
        Ok(config.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, App>(linker, Host::app)
}
