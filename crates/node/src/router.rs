//! Which function answers which request.

use std::collections::HashMap;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method};
use image::{Manifest, Problem, Route, Target};

/// The routes of an app.
#[derive(Default)]
pub(crate) struct Router {
    any_host: Paths,
    hosts: HashMap<String, Paths>,
}

type Paths = matchit::Router<Vec<Arc<Rule>>>;

/// What one route says of its path.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Empty for all.
    methods: Vec<Method>,
    pub(crate) pattern: String,
    /// The pattern as a header field.
    pub(crate) told: Option<HeaderValue>,
    /// The functions that a request passes on its way to the target.
    pub(crate) middleware: Vec<String>,
    pub(crate) target: To,
    pub(crate) websocket: bool,
}

/// What answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Function(String),
    Chain(String),
    Files(std::path::PathBuf),
}

/// A request's way.
#[derive(Debug)]
pub(crate) enum Routed<'r> {
    /// The rule that matches, and what the names in its pattern stand for.
    To(&'r Arc<Rule>, Vec<(String, String)>),
    /// The path is known, the method is not: those that are.
    OtherMethods(String),
    /// No route has this path.
    Nowhere,
}

impl Router {
    /// The routes of a manifest.
    ///
    /// # Errors
    /// The routes that cannot stand beside each other.
    pub(crate) fn new(manifest: &Manifest) -> Result<Self, Vec<Problem>> {
        let mut router = Self::default();
        let mut problems = Vec::new();
        let mut rules: Vec<(Option<String>, String, Vec<Arc<Rule>>)> = Vec::new();
        for route in &manifest.routes {
            let host = route.host.as_ref().map(|host| host.to_ascii_lowercase());
            let rule = Arc::new(rule(route));
            match rules.iter_mut().find(|(known, path, _)| *known == host && *path == **route.path) {
                Some((_, _, beside)) => beside.push(rule),
                None => rules.push((host, (**route.path).to_owned(), vec![rule])),
            }
        }
        let mut empty_rest = Vec::new();
        for (host, path, rules) in rules {
            let paths = match &host {
                Some(host) => router.hosts.entry(host.clone()).or_default(),
                None => &mut router.any_host,
            };
            // All that remains may be nothing: `/files/{*rest}` is `/files/` too, unless another route is.
            if let Some((before, _)) = path.split_once("{*") {
                empty_rest.push((host.clone(), before.to_owned(), rules.clone()));
            }
            if let Err(error) = paths.insert(path.clone(), rules) {
                let route = manifest.routes.iter().find(|route| **route.path == path);
                let span = route.map_or(0..0, |route| route.path.span());
                problems.push(Problem::new(span, format!("the route `{path}` cannot be used: {error}")));
            }
        }
        for (host, path, rules) in empty_rest {
            let paths = match &host {
                Some(host) => router.hosts.entry(host.clone()).or_default(),
                None => &mut router.any_host,
            };
            // It fails where a route of its own is there.
            let _ = paths.insert(path, rules);
        }
        match problems.is_empty() {
            true => Ok(router),
            false => Err(problems),
        }
    }

    /// The way of a request.
    pub(crate) fn route(&self, request: &Parts) -> Routed<'_> {
        let host = request.uri.host().or_else(|| {
            let host = request.headers.get(http::header::HOST)?.to_str().ok()?;
            Some(host.rsplit_once(':').map_or(host, |(host, _)| host))
        });
        let own = host.and_then(|host| self.hosts.get(&host.to_ascii_lowercase()));
        let mut allowed: Vec<&str> = Vec::new();
        for paths in own.into_iter().chain([&self.any_host]) {
            let Ok(found) = paths.at(request.uri.path()) else {
                continue;
            };
            for rule in found.value {
                if rule.methods.is_empty() || rule.methods.contains(&request.method) {
                    let names = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                    return Routed::To(rule, names.collect());
                }
                allowed.extend(rule.methods.iter().map(Method::as_str));
            }
        }
        match allowed.is_empty() {
            true => Routed::Nowhere,
            false => Routed::OtherMethods(allowed.join(", ")),
        }
    }
}

fn rule(route: &Route) -> Rule {
    let methods = route.methods.iter().flat_map(|methods| methods.iter());
    Rule {
        methods: methods.map(|method| method_of(*method)).collect(),
        pattern: (**route.path).to_owned(),
        told: HeaderValue::from_str(&route.path).ok(),
        middleware: route.middleware.iter().map(|name| name.to_string()).collect(),
        target: match route.target() {
            Target::Function(name) => To::Function(name.to_string()),
            Target::Chain(name) => To::Chain(name.to_string()),
            Target::Files(path) => To::Files(path.to_owned()),
        },
        websocket: *route.websocket,
    }
}

fn method_of(method: image::Method) -> Method {
    match method {
        image::Method::Get => Method::GET,
        image::Method::Head => Method::HEAD,
        image::Method::Post => Method::POST,
        image::Method::Put => Method::PUT,
        image::Method::Delete => Method::DELETE,
        image::Method::Patch => Method::PATCH,
        image::Method::Options => Method::OPTIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::{Routed, Router, To};
    use http::Request;
    use image::Manifest;

    const MANIFEST: &str = r#"
        [app]
        name = "shop"
        version = "0.1.0"
        [functions.page]
        program = "page.wasm"
        [functions.cart]
        program = "cart.wasm"
        [functions.admin]
        program = "admin.wasm"
        [[routes]]
        path = "/{*rest}"
        function = "page"
        [[routes]]
        path = "/cart/{id}"
        methods = ["GET", "PUT"]
        function = "cart"
        [[routes]]
        path = "/cart/{id}"
        methods = ["DELETE"]
        function = "admin"
        [[routes]]
        path = "/cart/{id}"
        host = "admin.example"
        function = "admin"
    "#;

    fn routed(method: &str, host: &str, path: &str) -> String {
        let manifest = Manifest::parse(MANIFEST, "sampan.toml").expect("sound");
        let router = Router::new(&manifest).expect("sound");
        let request = Request::builder().method(method).uri(path).header("host", host);
        let (parts, ()) = request.body(()).expect("sound").into_parts();
        match router.route(&parts) {
            Routed::To(rule, names) => {
                let To::Function(function) = &rule.target else { panic!("functions only") };
                names.iter().fold(function.clone(), |text, (name, value)| text + &format!(" {name}={value}"))
            }
            Routed::OtherMethods(allowed) => format!("only {allowed}"),
            Routed::Nowhere => "nowhere".to_owned(),
        }
    }

    #[test]
    fn a_request_finds_its_function() {
        for (request, expected) in [
            (("GET", "example.com", "/cart/7"), "cart id=7"),
            (("PUT", "example.com:8080", "/cart/7?size=1"), "cart id=7"),
            (("DELETE", "example.com", "/cart/7"), "admin id=7"),
            (("POST", "example.com", "/cart/7"), "only GET, PUT, DELETE"),
            (("POST", "Admin.Example:80", "/cart/7"), "admin id=7"),
            (("GET", "example.com", "/a/b"), "page rest=a/b"),
            (("GET", "example.com", "/"), "page"),
        ] {
            let (method, host, path) = request;
            assert_eq!(routed(method, host, path), expected, "{request:?}");
        }
    }
}
