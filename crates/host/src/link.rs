//! Joins what a program imports to what stands behind it. Only the interfaces that it names are linked: each costs
//! time at every start.

use engine::wasmtime::component::types::ComponentItem;
use engine::wasmtime::component::{self, Component, InstancePre};
use engine::wasmtime::{Engine, Module};
use engine::{Program, wasmtime};
use wasmtime_wasi::{p1, p2, p3};

use crate::grants::Grants;
use crate::{
    Host, blobstore, chain, command, config, files, keyvalue, logging, middleware, net, otel, sql, websocket,
};

/// Everything that `module`, which stands for `program`, may import.
///
/// # Errors
/// Those of Wasmtime, for names defined twice; there are none.
pub fn module(
    engine: &Engine,
    program: &Program,
    module: &Module,
    grants: &Grants,
) -> wasmtime::Result<wasmtime::Linker<Host>> {
    let mut linker = wasmtime::Linker::new(engine);
    program.link_native(&mut linker)?;
    if module.imports().any(|import| import.module() == "wasi_snapshot_preview1") {
        p1::add_to_linker_async(&mut linker, Host::wasi)?;
        linker.allow_shadowing(true);
        command::link_p1(&mut linker)?;
        if grants.dirs.is_empty() {
            files::link_p1(&mut linker)?;
        }
    }
    Ok(linker)
}

/// What an app binds to its functions: the interfaces of each package are linked together.
const APP: [(&str, Link); 7] = [
    ("wasi:keyvalue/", keyvalue::link),
    ("wasi:blobstore/", blobstore::link),
    ("wasi:config/", config::link),
    ("wasi:otel/", otel::link),
    ("sampan:chain/", chain::link),
    ("sampan:sql/", sql::link),
    ("sampan:websocket/", websocket::link),
];

type Link = fn(&mut component::Linker<Host>) -> wasmtime::Result<()>;

/// Everything that `component`, which stands for `program`, may import.
///
/// # Errors
/// Those of Wasmtime, for names defined twice; there are none.
pub fn component(
    engine: &Engine,
    program: &Program,
    component: &Component,
) -> wasmtime::Result<component::Linker<Host>> {
    let mut linker = component::Linker::new(engine);
    linker.allow_shadowing(true);
    program.link_native_component(&mut linker)?;

    let kind = component.component_type();
    let imports: Vec<&str> = kind.imports(engine).map(|(name, _)| name).collect();
    let imports_any = |package: &str, version: &str| {
        imports.iter().any(|name| {
            name.starts_with(package)
                && name.split_once('@').is_some_and(|(_, found)| found.starts_with(version))
        })
    };

    if imports_any("wasi:", "0.2") {
        link_p2(&mut linker, names_files(&kind, engine))?;
        if imports_any("wasi:http", "0.2") {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        }
        if imports_any("wasi:tls", "0.2") {
            link_tls_p2(&mut linker)?;
        }
    }
    if imports_any("wasi:", "0.3") {
        p3::add_to_linker(&mut linker)?;
        if names_files(&kind, engine) {
            files::link_p3(&mut linker)?;
        }
        net::link_p3(&mut linker)?;
        if imports_any("wasi:http", "0.3") {
            wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        }
        if imports_any("wasi:tls", "0.3") {
            wasmtime_wasi_tls::p3::add_to_linker(&mut linker)?;
        }
    }
    for (package, link) in APP {
        if imports.iter().any(|name| name.starts_with(package)) {
            link(&mut linker)?;
        }
    }
    for interface in imports.iter().filter(|name| name.starts_with(logging::INTERFACE)) {
        logging::link(&mut linker, interface)?;
    }
    for interface in imports.iter().filter(|name| name.starts_with(middleware::INTERFACE)) {
        middleware::link(&mut linker, interface)?;
    }
    Ok(linker)
}

/// What commands of WASI 0.2 import; `files` where it matters which directories were granted.
fn link_p2(linker: &mut component::Linker<Host>, files: bool) -> wasmtime::Result<()> {
    let mut options = p2::bindings::LinkOptions::default();
    options.network_error_code(true);
    p2::add_to_linker_with_options_async(linker, &options)?;
    if files {
        files::link_p2(linker)?;
    }
    net::link_p2(linker)
}

fn link_tls_p2(linker: &mut component::Linker<Host>) -> wasmtime::Result<()> {
    let mut options = wasmtime_wasi_tls::p2::LinkOptions::default();
    wasmtime_wasi_tls::p2::add_to_linker(linker, options.tls(true))
}

/// What stands behind nearly all components of WASI 0.2, joined before any of them is known. A component still gets
/// only what it names.
pub struct Ready(component::Linker<Host>);

impl Ready {
    /// For components of this engine.
    ///
    /// # Errors
    /// As [`component`].
    pub fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut linker = component::Linker::new(engine);
        linker.allow_shadowing(true);
        link_p2(&mut linker, true)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        link_tls_p2(&mut linker)?;
        APP.iter().try_for_each(|(_, link)| link(&mut linker))?;
        Ok(Self(linker))
    }

    /// The component with what it imports behind it; `None` where it is of another engine, or imports more.
    pub fn instance_pre(&self, component: &Component) -> Option<InstancePre<Host>> {
        self.0.instantiate_pre(component).ok()
    }
}

/// Whether a component imports any function that takes a path, such as `[method]descriptor.open-at`. One that only
/// uses streams asks for its directories too, and does not miss them.
fn names_files(kind: &component::types::Component, engine: &Engine) -> bool {
    kind.imports(engine).filter(|(name, _)| name.starts_with("wasi:filesystem/types")).any(|(_, item)| {
        match item.ty {
            ComponentItem::ComponentInstance(types) => {
                types.exports(engine).any(|(function, _)| function.ends_with("-at"))
            }
            _ => false,
        }
    })
}
