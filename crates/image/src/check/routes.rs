//! Whether each request has one answer.

use std::collections::HashMap;

use matchit::{InsertError, Router};

use crate::limits::ROUTE_PATH_BYTES_MAX;
use crate::{At, Method, Route};

use super::Check;

/// The routes of one host: their paths, and by path those that do not conflict.
#[derive(Default)]
struct Table<'a> {
    router: Router<()>,
    by_path: HashMap<&'a str, Vec<&'a Route>>,
}

impl Check<'_> {
    pub(super) fn routes(&mut self) {
        let manifest = self.manifest;
        let mut hosts = HashMap::<_, Table<'_>>::new();
        for route in &manifest.routes {
            self.target(route);
            self.host(route);
            if let Some(methods) = route.methods.as_ref().filter(|methods| methods.is_empty()) {
                self.problem_with_hint(
                    methods.span(),
                    "a route of no methods",
                    "leave `methods` out for all",
                );
            }
            if self.route_path(&route.path) {
                let host = route.host.as_ref().map(|host| host.as_str());
                self.conflicts(route, hosts.entry(host).or_default());
            }
        }
    }

    /// Exactly one target, which exists, and fits the rest.
    fn target(&mut self, route: &Route) {
        let manifest = self.manifest;
        let spans = [
            route.function.as_ref().map(At::span),
            route.chain.as_ref().map(At::span),
            route.files.as_ref().map(At::span),
        ];
        let mut spans: Vec<_> = spans.into_iter().flatten().collect();
        spans.sort_by_key(|span| span.start);
        let hint = "give it one of `function`, `chain` and `files`";
        match &spans[..] {
            [] => self.problem_with_hint(route.path.span(), "a route that leads nowhere", hint),
            [_] => {}
            [_, second, ..] => {
                self.problem_with_hint(second.clone(), "a route that leads to more than one place", hint);
            }
        }
        for function in route.function.iter().chain(&route.middleware) {
            self.function(function);
        }
        if let Some(chain) = route.chain.as_ref().filter(|chain| !manifest.chains.contains_key(&****chain)) {
            self.unknown("chain", "chains", chain, manifest.chains.keys());
        }
        if let Some(files) = &route.files {
            self.path(files);
        }
        if *route.websocket && route.function.is_none() {
            self.problem(route.websocket.span(), "only a function takes the messages of a WebSocket");
        }
        if let Some(first) = route.middleware.first().filter(|_| *route.websocket) {
            let message = "a WebSocket does not pass through middleware";
            self.problem_with_hint(
                first.span(),
                message,
                "let `opened` refuse whom the function does not want",
            );
        }
    }

    fn host(&mut self, route: &Route) {
        let Some(host) = &route.host else { return };
        let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if host.is_empty() || !host.chars().all(in_name) {
            let message = format!("`{}` is not a host name", **host);
            self.problem_with_hint(host.span(), message, "only the name, in lower case, without a port");
        }
    }

    /// Whether the path can be one, alone.
    fn route_path(&mut self, path: &At<String>) -> bool {
        if path.len() > ROUTE_PATH_BYTES_MAX {
            self.problem(
                path.span(),
                format!("the path of a route is longer than {ROUTE_PATH_BYTES_MAX} bytes"),
            );
            return false;
        }
        let reason = if !path.starts_with('/') {
            "it does not begin with `/`"
        } else if path.contains(|c: char| c.is_control() || matches!(c, ' ' | '?' | '#')) {
            "it contains what no path does"
        } else {
            match Router::new().insert(path.as_str(), ()) {
                Ok(()) => return true,
                Err(InsertError::InvalidParamSegment) => "more than one parameter in a segment",
                Err(InsertError::InvalidCatchAll) => "`{*…}` is not at its end",
                Err(_) => "its braces do not enclose names, as in `/a/{id}` and `/b/{*rest}`",
            }
        };
        self.problem(path.span(), format!("`{}` is not the path of a route: {reason}", **path));
        false
    }

    /// Two routes of one host may have the same path, if they differ in their methods.
    fn conflicts<'a>(&mut self, route: &'a Route, table: &mut Table<'a>) {
        let path = route.path.as_str();
        let overlaps = |earlier: &&&Route| methods(earlier) & methods(route) != 0;
        let conflict = match table.by_path.get(path) {
            Some(same_path) => {
                same_path.iter().find(overlaps).map(|earlier| (path.to_owned(), Some(*earlier)))
            }
            None => match table.router.insert(path, ()) {
                Ok(()) => None,
                Err(InsertError::Conflict { with }) => {
                    let earlier = table.by_path.get(with.as_str()).and_then(|routes| routes.first()).copied();
                    Some((with, earlier))
                }
                Err(error) => Some((error.to_string(), None)),
            },
        };
        let Some((with, earlier)) = conflict else {
            return table.by_path.entry(path).or_default().push(route);
        };
        let line = earlier.map(|earlier| self.manifest.source.line(earlier.path.span().start));
        let place = line.map_or(String::new(), |line| format!(" on line {line}"));
        let hint = match with == path {
            true => "give them different `methods` or a different `host`",
            false => "name the parameters alike, and give the routes different `methods`",
        };
        self.problem_with_hint(route.path.span(), format!("`{path}` conflicts with `{with}`{place}"), hint);
    }
}

/// The methods of a route, one bit for each.
fn methods(route: &Route) -> u8 {
    let bits = |methods: &At<Vec<Method>>| methods.iter().fold(0, |bits, method| bits | 1 << *method as u8);
    route.methods.as_ref().map_or(u8::MAX, bits)
}
