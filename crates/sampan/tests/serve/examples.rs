//! The apps under `examples/`, driven as their users drive them; what their pages look like is in `examples.cjs`.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use crate::app::{App, Served};
use crate::client::{Answer, Connection, Request};
use crate::websocket;

const CLIENTS: u32 = 8;

/// Serves the shop. One test at a time begins with it: what the first has compiled, the others find in the cache.
fn serve_shop(app: &App) -> Served {
    static BEGINS: Mutex<()> = Mutex::new(());
    let _begins = BEGINS.lock().unwrap_or_else(PoisonError::into_inner);
    app.serve()
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// Fills a cart, and returns the status and answer of its order.
fn order(client: &mut Connection, cart: &str, counts: &Value) -> (u16, Value) {
    let path = format!("/api/carts/{cart}");
    client.ask(&Request::new("PUT", &path).body(counts.to_string().as_bytes())).well();
    let answer = client.ask(&Request::new("PUT", &format!("/api/orders/{cart}")));
    (answer.status, value(&answer))
}

fn left(shop: &Served, product: &str) -> u64 {
    let products = value(&shop.get("/api/products"));
    let products = products.as_array().expect("a list");
    let product = products.iter().find(|found| found["id"] == product).expect("it is sold here");
    product["left"].as_u64().expect("never less than none")
}

#[test]
fn the_shop_sells_what_it_has() {
    let app = App::example("shop");
    let shop = serve_shop(&app);
    assert!(shop.text("/").contains("<h1>Tea shop</h1>"));
    assert_eq!((left(&shop, "tea"), left(&shop, "bowl")), (25, 5));

    let mut client = shop.connect();
    let (status, placed) = order(&mut client, "first", &json!({ "tea": 2, "bowl": 1 }));
    assert_eq!((status, &placed["state"], &placed["cents"]), (201, &json!("confirmed"), &json!(3780)));
    // A button that is pressed twice orders once.
    let again = client.ask(&Request::new("PUT", "/api/orders/first"));
    assert_eq!((again.status, value(&again)), (200, placed.clone()));
    // All or nothing: what there is enough of stays where it is, too.
    let (status, refused) = order(&mut client, "second", &json!({ "tea": 1, "kettle": 4 }));
    assert_eq!((status, &refused["error"]), (409, &json!("`kettle`: 3 left, 4 wanted")));
    assert_eq!((left(&shop, "tea"), left(&shop, "bowl"), left(&shop, "kettle")), (23, 4, 3));

    for wrong in
        ["", "[]x", r#"{"tea":0}"#, r#"{"tea":-1}"#, r#"{"tea":1.5}"#, r#"{"tea":21}"#, r#"{"gold":1}"#]
    {
        let answer = client.ask(&Request::new("PUT", "/api/carts/wrong").body(wrong.as_bytes()));
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
    assert_eq!(client.ask(&Request::new("PUT", "/api/orders/none")).status, 404);

    // What was ordered is there after the power was lost.
    shop.kill();
    let shop = app.serve();
    assert_eq!(value(&shop.get("/api/orders/first")), placed);
    assert_eq!(left(&shop, "tea"), 23);
}

#[test]
fn the_shop_sells_nothing_twice() {
    let app = App::example("shop");
    let shop = serve_shop(&app);
    // Of 25 there are 40 wanted, and each cart is ordered by two clients at once.
    let confirmed: u32 = thread::scope(|scope| {
        let sell = |client: u32| {
            let shop = &shop;
            scope.spawn(move || {
                let mut connection = shop.connect();
                let carts = (0..10).map(|cart| format!("{}-{cart}", client / 2));
                let placed = carts.filter(|cart| {
                    let (status, answer) = order(&mut connection, cart, &json!({ "tea": 1 }));
                    assert!([200, 201, 409].contains(&status), "{status}: {answer}");
                    left(shop, "tea");
                    status == 201
                });
                u32::try_from(placed.count()).expect("few")
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(sell).collect();
        clients.into_iter().map(|client| client.join().expect("no client fails")).sum()
    });
    assert_eq!((confirmed, left(&shop, "tea")), (25, 0));
}

#[test]
fn pictures_become_thumbnails() {
    let app = App::example("pictures");
    let pictures = app.serve();
    let picture = png(600, 400);
    let request = Request::new("POST", "/api/pictures").header("content-type", "image/png").body(&picture);
    let answer = pictures.ask(&request);
    let list: Value = serde_json::from_str(&answer.well()).expect("JSON");
    let id = list["id"].as_str().expect("an id");
    let sizes: Vec<_> = list["thumbnails"].as_array().expect("a list").iter().collect();
    let of = |made: &Value| (made["name"].clone(), made["width"].clone(), made["height"].clone());
    let expected = [("96.jpg", 96, 64), ("240.jpg", 240, 160), ("480.jpg", 480, 320)];
    assert_eq!(sizes.len(), expected.len());
    for (made, (name, width, height)) in sizes.into_iter().zip(expected) {
        assert_eq!(of(made), (json!(name), json!(width), json!(height)));
        let thumbnail = pictures.get(&format!("/api/pictures/{id}/{name}"));
        assert_eq!((thumbnail.status, thumbnail.header("content-type")), (200, Some("image/jpeg")));
        assert!(thumbnail.body.starts_with(&[0xff, 0xd8, 0xff]));
        assert_eq!(json!(thumbnail.body.len()), made["bytes"]);
    }
    assert_eq!(value(&pictures.get(&format!("/api/pictures/{id}/list.json"))), list);
    assert_eq!(pictures.get(&format!("/api/pictures/{id}/none.jpg")).status, 404);
    let broken = pictures.ask(&Request::new("POST", "/api/pictures").body(b"no picture"));
    assert_eq!(broken.status, 500, "{}", broken.text());
}

#[test]
fn people_chat() {
    let app = App::example("chat");
    let chat = app.serve();
    assert_eq!(websocket::open(&chat, "/rooms/lobby").err(), Some(403));
    let mut ada = websocket::open(&chat, "/rooms/lobby?name=Ada").expect("open");
    ada.hears(r#"{"members":["Ada"]}"#);
    ada.say("Is anybody here?");
    ada.hears(r#"{"from":"Ada","text":"Is anybody here?"}"#);
    // Who comes later reads what was said before, and nothing of other rooms.
    let mut elsewhere = websocket::open(&chat, "/rooms/attic?name=Eve").expect("open");
    elsewhere.hears(r#"{"members":["Eve"]}"#);
    let mut bob = websocket::open(&chat, "/rooms/lobby?name=B%C3%B6b").expect("open");
    bob.hears(r#"{"from":"Ada","text":"Is anybody here?"}"#);
    bob.say("Me");
    drop(bob);
    // They come in the order of their connections' names, which are random.
    let both = |heard: &str| heard.contains("Ada") && heard.contains("Böb");
    assert!(both(&ada.next_text()));
    ada.hears(r#"{"from":"Böb","text":"Me"}"#);
    ada.hears(r#"{"members":["Ada"]}"#);
}

#[test]
fn the_pages_of_the_examples_in_a_browser() {
    let playwright =
        std::env::var("SAMPAN_PLAYWRIGHT").expect("$SAMPAN_PLAYWRIGHT is set: run `cargo xtask test`");
    let apps = ["shop", "pictures", "chat"].map(App::example);
    let served = [serve_shop(&apps[0]), apps[1].serve(), apps[2].serve()];
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../examples-pages");
    std::fs::create_dir_all(&out).expect("a directory is made");
    std::fs::write(out.join("picture.png"), png(600, 400)).expect("a file is written");
    let run = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/examples.cjs"))
        .arg(playwright)
        .arg(&out)
        .args(served.iter().map(|app| format!("http://{}", app.address)))
        .output()
        .expect("`node` runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
}

/// A grey picture in which nothing is compressed (PNG, RFC 2083; zlib, RFC 1950).
fn png(width: u32, height: u32) -> Vec<u8> {
    let row = |y: u32| std::iter::once(0).chain((0..width).map(move |x| (x ^ y).to_le_bytes()[0]));
    let pixels: Vec<u8> = (0..height).flat_map(row).collect();
    let mut data = vec![0x78, 0x01];
    let blocks = pixels.chunks(0xffff);
    let last = blocks.len() - 1;
    for (index, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).expect("a block is short");
        data.push(u8::from(index == last));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    let (a, b) = pixels.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    data.extend(((b << 16) | a).to_be_bytes());
    // Eight bits of grey.
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &data), &chunk(b"IEND", b"")]
        .concat()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let content = [kind, data].concat();
    let sum = content.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    let length = u32::try_from(data.len()).expect("a picture is small");
    [&length.to_be_bytes()[..], &content, &(!sum).to_be_bytes()].concat()
}
