//! Functions that call each other: by their own code, by a graph of the manifest, and over HTTP.

use serde_json::{Value, json};

use crate::app::{App, Served};
use crate::client::Request;

const CALLS: &str = r#"
    [functions.step]
    program = "$GUESTS/app/step.wasm"
    grants = { calls = ["step", "hasty", "line"] }
    limits = { concurrency = 100, deadline = "60s" }
    [functions.hasty]
    program = "$GUESTS/app/step.wasm"
    limits = { deadline = "3s" }
    [functions.secret]
    program = "$GUESTS/app/step.wasm"
    [chains.one]
    deadline = "50s"
    steps = [{ name = "only", call = "step" }]
    [chains.line]
    steps = [{ name = "first", call = "step" }, { name = "second", call = "step", each = true }]
    [[routes]]
    path = "/one"
    chain = "one"
"#;

/// What comes of `input` in the chain at `path`: the status, and the value.
fn ask(served: &Served, path: &str, input: &Value) -> (u16, Value) {
    let body = input.to_string();
    let request = Request::new("POST", path).header("content-type", "application/json").body(body.as_bytes());
    let answer = served.ask(&request);
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_else(|_| json!(answer.text())))
}

/// The same, where all goes well.
#[track_caller]
fn done(served: &Served, path: &str, input: &Value) -> Value {
    let (status, value) = ask(served, path, input);
    assert_eq!(status, 200, "{input}: {value}");
    value
}

#[test]
fn a_function_calls_others() {
    let served = App::new(CALLS).serve();
    let one = |input: Value| done(&served, "/one", &input);
    assert_eq!(one(json!({ "try": "step", "with": [1, 2, 3] })), json!({ "ok": [3, 2, 1] }));
    assert_eq!(one(json!({ "start": "step", "with": [1, 2, 3] })), json!({ "ok": [3, 2, 1] }));
    assert_eq!(one(json!({ "try": "line", "with": [[1, 2], [3, 4]] })), json!({ "ok": [[4, 3], [2, 1]] }));
    let batch = one(json!({ "batch": ["step", "line", "secret", "step"] }));
    assert_eq!((&batch[0], &batch[3]), (&json!("[2,1]"), &json!("[2,1]")));
    assert!(batch[2].as_str().is_some_and(|error| error.contains("Denied")), "{batch}");
    // All calls that one request leads to are one chain, and each request begins its own.
    let ids = |input: Value| one(input)["ok"].as_str().expect("an id").to_owned();
    let (first, second) = (
        ids(json!({ "try": "step", "with": { "id": true } })),
        ids(json!({ "try": "step", "with": { "id": true } })),
    );
    assert!(first.len() == 32 && first != second, "{first} and {second}");
}

#[test]
fn what_goes_wrong_in_a_callee_is_told_to_its_caller() {
    let served = App::new(CALLS).serve();
    let error = |input: Value| done(&served, "/one", &input)["error"].as_str().expect("an error").to_owned();
    for (input, expected) in [
        (json!({ "try": "secret", "with": 1 }), "Error::Denied"),
        (json!({ "try": "none", "with": 1 }), "Error::Denied"),
        (json!({ "try": "step", "with": { "fail": "on purpose" } }), "Error::Failed(\"on purpose\")"),
        (json!({ "try": "hasty", "with": { "loop": true } }), "Error::Late"),
        (json!({ "start": "hasty", "with": { "loop": true } }), "Error::Late"),
        (json!({ "cancel": "step", "with": { "loop": true } }), "Error::Cancelled"),
        (json!({ "cancel": "secret", "with": 1 }), "Error::Denied"),
    ] {
        assert_eq!(error(input.clone()), expected, "{input}");
    }
    let trapped = error(json!({ "try": "step", "with": { "trap": true } }));
    assert!(trapped.starts_with("Error::Trapped("), "{trapped}");
    served.says("step::");
    served.says("step | it was denied to call `secret`; `calls = [\"secret\"]` grants it");
    // The client learns nothing of it.
    let (status, text) = ask(&served, "/one", &json!({ "fail": "on purpose" }));
    assert!(status == 500 && !text.to_string().contains("on purpose"), "{text}");
    assert_eq!(done(&served, "/one", &json!([1, 2])), json!([2, 1]));
}

#[test]
fn calls_are_nested_only_so_deep() {
    let served = App::new(CALLS).serve();
    let end = done(&served, "/one", &json!({ "nest": 0 }));
    assert_eq!(end["depth"], 32, "{end}");
    assert!(end["end"]["error"].as_str().is_some_and(|error| error.contains("32 calls are nested")), "{end}");
}

#[test]
fn a_deadline_holds_for_all_that_is_called() {
    let served = App::new(CALLS).serve();
    let left = done(&served, "/one", &json!({ "try": "step", "with": { "remaining": true } }));
    // The function itself may take a minute, its chain less.
    assert!(left["ok"].as_u64().is_some_and(|left| (1..=50_000).contains(&left)), "{left}");
    let left = done(&served, "/one", &json!({ "try": "hasty", "with": { "remaining": true } }));
    assert!(left["ok"].as_u64().is_some_and(|left| left <= 3_000), "{left}");
}

const GRAPHS: &str = r#"
    [functions.step]
    program = "$GUESTS/app/step.wasm"
    limits = { deadline = "60s" }
    [functions.flaky]
    program = "$GUESTS/app/flaky.wasm"
    grants = { buckets = ["tries"] }
    limits = { deadline = "60s" }
    [buckets.tries]
    durability = "memory"

    [chains.sequence]
    steps = [
        { name = "a", call = "step" },
        { name = "b", call = "step", each = true },
        { name = "c", call = "step" },
    ]
    [chains.join]
    steps = [
        { name = "whole", call = "step" },
        { name = "parts", call = "step", after = [], each = true },
        { name = "both", call = "step", after = ["whole", "parts"] },
    ]
    [chains.branch]
    steps = [
        { name = "vip", call = "step", when = { path = "/kind", equals = "vip" } },
        { name = "seven", call = "step", after = [], when = { path = "/kind", equals = 7 } },
        { name = "end", call = "step", after = ["vip", "seven"] },
    ]
    [chains.twice]
    steps = [{ name = "try", call = "flaky", retry = { attempts = 2, delay = "1ms" } }]
    [chains.thrice]
    steps = [{ name = "try", call = "flaky", retry = { attempts = 3, delay = "1ms" } }]
    [chains.once]
    steps = [{ name = "try", call = "flaky" }]
    [chains.timeout]
    steps = [{ name = "try", call = "step", timeout = "200ms" }]
    [chains.late]
    deadline = "300ms"
    steps = [{ name = "slow", call = "step", after = [] }, { name = "never", call = "flaky" }]

    [[routes]]
    path = "/sequence"
    chain = "sequence"
    [[routes]]
    path = "/join"
    chain = "join"
    [[routes]]
    path = "/branch"
    chain = "branch"
    [[routes]]
    path = "/once"
    chain = "once"
    [[routes]]
    path = "/twice"
    chain = "twice"
    [[routes]]
    path = "/thrice"
    chain = "thrice"
    [[routes]]
    path = "/timeout"
    chain = "timeout"
    [[routes]]
    path = "/late"
    chain = "late"
"#;

#[test]
fn steps_follow_each_other_part_and_join() {
    let served = App::new(GRAPHS).serve();
    assert_eq!(done(&served, "/sequence", &json!([[1, 2], [3, 4]])), json!([[2, 1], [4, 3]]));
    assert_eq!(done(&served, "/join", &json!([[1, 2], [3]])), json!([[[2, 1], [3]], [[3], [1, 2]]]));
    assert_eq!(done(&served, "/join", &json!([])), json!([[], []]));
    let many: Vec<_> = (0..500).map(|index| json!([index])).collect();
    let reversed: Vec<_> = many.iter().rev().cloned().collect();
    assert_eq!(done(&served, "/sequence", &json!(many)), json!(many));
    assert_eq!(done(&served, "/join", &json!(many)), json!([many, reversed]));
    // What is no list has no elements.
    assert_eq!(ask(&served, "/sequence", &json!("text")).0, 500);
}

#[test]
fn a_step_whose_condition_does_not_hold_is_skipped() {
    let served = App::new(GRAPHS).serve();
    for kind in [json!({ "kind": "vip" }), json!({ "kind": 7 })] {
        assert_eq!(done(&served, "/branch", &kind), json!([kind]));
    }
    for other in [json!({ "kind": "other" }), json!({ "kind": "7" }), json!({}), json!(null)] {
        assert_eq!(done(&served, "/branch", &other), json!([]), "{other}");
    }
}

#[test]
fn a_step_that_fails_is_tried_again_as_often_as_it_may() {
    let served = App::new(GRAPHS).serve();
    let input = |key, failures: u32| json!({ "key": key, "failures": failures });
    assert_eq!(done(&served, "/thrice", &input("a", 2)), json!(3));
    assert_eq!(ask(&served, "/twice", &input("b", 2)).0, 500);
    // It was called twice before, and not more often.
    assert_eq!(done(&served, "/once", &input("b", 2)), json!(3));
    assert_eq!(ask(&served, "/once", &input("c", 1)).0, 500);
    assert_eq!(done(&served, "/thrice", &input("c", 1)), json!(2));
}

#[test]
fn a_step_that_cannot_be_in_time_is_not_begun() {
    let served = App::new(GRAPHS).serve();
    assert_eq!(ask(&served, "/timeout", &json!({ "loop": true })).0, 504);
    // What comes after the slow step would be given its input, and count.
    let input = json!({ "key": "late", "failures": 0, "loop": true });
    let (status, text) = ask(&served, "/late", &input);
    assert_eq!((status, text), (504, json!("chain `late` did not end in time\n")));
    assert_eq!(done(&served, "/once", &json!({ "key": "late", "failures": 0 })), json!(1));
}

const SIBLINGS: &str = r#"
    [functions.caller]
    program = "$GUESTS/app/caller.wasm"
    grants = { calls = ["caller", "hello", "hello3", "lab"] }
    limits = { concurrency = 100, deadline = "60s" }
    [functions.hasty]
    program = "$GUESTS/app/caller.wasm"
    grants = { calls = ["lab"] }
    limits = { deadline = "500ms" }
    [functions.hello]
    program = "$GUESTS/app/hello.wasm"
    [functions.hello3]
    program = "$GUESTS/app/hello3.wasm"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    limits = { concurrency = 1, deadline = "60s" }
    [functions.secret]
    program = "$GUESTS/app/hello.wasm"
    [[routes]]
    path = "/hasty"
    function = "hasty"
    [[routes]]
    path = "/"
    function = "caller"
"#;

/// The app is granted no server at all, and the names are nowhere known: what is answered was answered in the process.
#[test]
fn a_sibling_is_called_over_http_without_leaving_the_process() {
    let served = App::new(SIBLINGS).serve();
    assert_eq!(served.text("/?http://hello.sampan.internal/"), "200 hello\n");
    assert_eq!(served.text("/?http://hello3.sampan.internal/"), "200 hello\n");
    assert_eq!(served.text("/?http://lab.sampan.internal/nothing"), "404 no such experiment");
    let body: String = (0..50_000).map(|index| format!("{index} ")).collect();
    let echoed =
        served.ask(&Request::new("POST", "/?http://lab.sampan.internal/length").body(body.as_bytes()));
    assert_eq!(echoed.well(), format!("200 {}", body.len()));

    for name in ["secret", "none"] {
        let denied = served.get(&format!("/?http://{name}.sampan.internal/"));
        assert_eq!((denied.status, denied.text().contains("HttpRequestDenied")), (502, true), "{name}");
    }
    served.says("caller | it was denied to call `secret`; `calls = [\"secret\"]` grants it");
    let foreign = served.get(&format!("/?http://{}/", served.address));
    assert_eq!((foreign.status, foreign.text().contains("HttpRequestDenied")), (502, true));

    assert_eq!(served.get("/?http://lab.sampan.internal/trap").status, 502);
    assert_eq!(served.text("/?http://lab.sampan.internal/length"), "200 0");
}

#[test]
fn a_sibling_is_told_no_route_by_another() {
    let served = App::new(SIBLINGS).serve();
    let request = Request::new("GET", "/?http://lab.sampan.internal/headers")
        .header("x-sampan-route", "/admin")
        .header("x-sampan-path-user", "root")
        .header("x-honest", "yes");
    let seen = served.ask(&request).well();
    assert!(seen.contains("honest: yes\n") && !seen.contains("sampan-"), "{seen}");
}

#[test]
fn siblings_over_http_keep_deadlines_and_depth() {
    let served = App::new(SIBLINGS).serve();
    // The callee has a minute, its caller half a second; what the callee does then, nobody wants.
    assert_eq!(served.get("/hasty?http://lab.sampan.internal/loop").status, 504);
    assert_eq!(served.text("/?http://lab.sampan.internal/length"), "200 0");

    let nested =
        |depth| format!("/{}?http://hello.sampan.internal/", "?http://caller.sampan.internal/".repeat(depth));
    assert_eq!(served.text(&nested(3)), "200 200 200 200 hello\n");
    let too_deep = served.text(&nested(40));
    assert!(too_deep.contains("32 calls are nested"), "{too_deep}");
}
