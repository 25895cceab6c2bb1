//! Whether functions can be built, started, and granted what they ask for.

use crate::limits::{
    BODY_MAX, CONCURRENCY_MAX, DEADLINE_MAX, FREEZE_MAX, MEMORY_MAX, MEMORY_MIN, QUEUE_MAX, REUSE_MAX,
    SHARE_MAX, SPARE_MAX,
};
use crate::{At, Bytes, Function, Grants, Limits, Profile, Secret};

use super::{Check, SHORTEST};

impl Check<'_> {
    pub(super) fn functions(&mut self) {
        let manifest = self.manifest;
        for (name, function) in &manifest.functions {
            if let Some((chain, _)) = manifest.chains.get_key_value(&***name) {
                let message = format!("`{}` is a function and a chain", **name);
                self.problem_with_hint(chain.span(), message, "`calls` could mean either: rename one");
            }
            self.made(function);
            self.environment(function);
            self.bounds("`reuse`", &function.reuse, 0, REUSE_MAX);
            self.shared(function);
            self.processes(function);
            self.granted(&function.grants);
            self.watched(function);
            self.limited(&function.limits);
        }
    }

    fn made(&mut self, function: &Function) {
        self.path(&function.program);
        if !function.program.as_os_str().is_empty() && function.program.file_name().is_none() {
            let message = format!("`{}` is a directory, not a program", function.program.display());
            self.problem(function.program.span(), message);
        }
        if let Some(build) = &function.build {
            if build.command.trim().is_empty() {
                self.problem(build.span(), "the build command is empty");
            }
            for path in build.dir.iter().chain(&build.watch) {
                self.path(path);
            }
        }
    }

    /// What the operating system and WASI take as a variable.
    fn environment(&mut self, function: &Function) {
        for name in function.env.keys().chain(function.secrets.keys()) {
            self.variable(name);
        }
        for value in function.env.values().filter(|value| value.contains('\0')) {
            self.problem(value.span(), "zero byte in an environment variable");
        }
        for (name, secret) in &function.secrets {
            if function.env.contains_key(name) {
                self.problem(name.span(), format!("`{}` is in `env` and in `secrets`", **name));
            }
            match secret {
                Secret::Env(variable) => self.variable(variable),
                Secret::File(path) => self.path(path),
            }
        }
    }

    fn variable(&mut self, name: &At<String>) {
        if name.is_empty() || name.contains(|c: char| c == '=' || c.is_control()) {
            self.problem(name.span(), format!("`{}` cannot name an environment variable", **name));
        }
    }

    fn granted(&mut self, grants: &Grants) {
        let manifest = self.manifest;
        for name in grants.buckets.iter().filter(|name| !manifest.buckets.contains_key(&****name)) {
            self.unknown("bucket", "buckets", name, manifest.buckets.keys());
        }
        for name in grants.blobs.iter().filter(|name| !manifest.blobs.contains_key(&****name)) {
            self.unknown("blob store", "blobs", name, manifest.blobs.keys());
        }
        for name in &grants.calls {
            let (functions, chains) = (&manifest.functions, &manifest.chains);
            if !functions.contains_key(&***name) && !chains.contains_key(&***name) {
                self.unknown("function or chain", "functions", name, functions.keys().chain(chains.keys()));
            }
        }
    }

    /// Who is told of changes may read them.
    fn watched(&mut self, function: &Function) {
        let buckets = &self.manifest.buckets;
        for (index, name) in function.watches.iter().enumerate() {
            if !buckets.contains_key(&***name) {
                self.unknown("bucket", "buckets", name, buckets.keys());
            } else if !function.grants.buckets.contains(name) {
                let message = format!("`{}` is watched and not granted", **name);
                self.problem_with_hint(
                    name.span(),
                    message,
                    "only what is in `grants.buckets` can be watched",
                );
            } else if function.watches[..index].contains(name) {
                self.problem(name.span(), format!("`{}` is watched already", **name));
            }
        }
    }

    fn shared(&mut self, function: &Function) {
        let Some(share) = &function.share else { return };
        self.bounds("`share`", share, 1, SHARE_MAX);
        if *function.reuse == 0 {
            let message = "a fresh instance answers one request";
            self.problem_with_hint(share.span(), message, "`reuse` keeps instances for more than one");
        } else if function.limits.fuel.is_some() {
            let message = "fuel is counted by instance, and `share` has several requests in one";
            self.problem_with_hint(share.span(), message, "leave one of them out");
        }
    }

    /// What only those have that run in a process of their own.
    fn processes(&mut self, function: &Function) {
        self.bounds("`spare`", &function.spare, 0, SPARE_MAX);
        if let Some(freeze) = &function.freeze {
            self.bounds("`freeze`", freeze, SHORTEST, FREEZE_MAX);
        }
        if *function.profile != Profile::Sealed {
            let spare = Some(function.spare.span()).filter(|_| *function.spare > 0);
            for span in spare.into_iter().chain(function.freeze.as_ref().map(At::span)) {
                let message = "only a sealed function has processes";
                self.problem_with_hint(span, message, "`profile = \"sealed\"` gives it one");
            }
        }
    }

    fn limited(&mut self, limits: &Limits) {
        self.bounds("`memory`", &limits.memory, MEMORY_MIN, MEMORY_MAX);
        self.bounds("`deadline`", &limits.deadline, SHORTEST, DEADLINE_MAX);
        self.bounds("`concurrency`", &limits.concurrency, 1, CONCURRENCY_MAX);
        self.bounds("`queue`", &limits.queue, 0, QUEUE_MAX);
        self.bounds("`body`", &limits.body, Bytes(0), BODY_MAX);
        if let Some(fuel) = limits.fuel.as_ref().filter(|fuel| ***fuel == 0) {
            self.problem_with_hint(
                fuel.span(),
                "`fuel` of 0: no call could begin",
                "leave it out for no limit",
            );
        }
    }
}
