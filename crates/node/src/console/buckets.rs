//! What the app remembers: its buckets, their keys page by page, and a value as what it looks like.

use std::fmt::Write;

use http::Response;
use maud::{Markup, html};
use state::{Bucket, Range, Usage};
use wasmtime_wasi_http::WasiBody;

use super::page::{Tab, page};
use super::query::{Query, encode};
use super::{View, page};
use crate::bucket::bucket;
use crate::limits::{CONSOLE_KEYS_MAX, CONSOLE_VALUE_BYTES_MAX};

/// Characters of a value beside its key.
const PREVIEW_CHARS: usize = 80;

pub(super) fn list(view: &View) -> Response<WasiBody> {
    let app = view.node.app();
    let manifest = app.manifest();
    let content = html! {
        h1.quiet { "Buckets" }
        @if manifest.buckets.is_empty() {
            p.empty { "This app has no buckets. " code { "[buckets.NAME]" } " in its manifest declares one." }
        } @else {
            section.card {
                table.stack {
                    caption { "What each bucket holds" }
                    thead {
                        tr {
                            th scope="col" { "bucket" }
                            th scope="col" { "survives" }
                            th.number scope="col" { "keys" }
                            th.number scope="col" { "bytes" }
                            th scope="col" { "of its quota" }
                            th scope="col" { "keys live" }
                        }
                    }
                    tbody {
                        @for (name, declared) in &manifest.buckets {
                            @let usage = opened(view, name).and_then(|bucket| app.store().usage(&bucket).ok());
                            (row(name, declared, usage))
                        }
                    }
                }
            }
        }
    };
    page(view, Tab::Buckets, "Buckets", &content)
}

fn row(name: &str, declared: &image::Bucket, usage: Option<Usage>) -> Markup {
    let quota = declared.quota.as_ref().map(|quota| quota.0);
    html! {
        tr {
            th scope="row" { a href={ "/buckets/" (name) } { (name) } }
            td data-name="survives" { (survives(declared.durability)) }
            td.number data-name="keys" { (usage.map_or("–".to_owned(), |usage| page::count(usage.keys))) }
            td.number data-name="bytes" { (usage.map_or("–".to_owned(), |usage| page::bytes(usage.bytes))) }
            td data-name="of its quota" {
                @match (quota, usage) {
                    (Some(quota), Some(usage)) => {
                        meter min="0" max=(quota) value=(usage.bytes) high=(quota / 10 * 9) aria-label={ "quota of " (name) } {}
                        " " (page::bytes(quota))
                    }
                    _ => { "no quota" }
                }
            }
            td data-name="keys live" {
                @match &declared.ttl { Some(ttl) => { (page::length(ttl.0)) } None => { "until deleted" } }
            }
        }
    }
}

fn survives(durability: image::Durability) -> &'static str {
    match durability {
        image::Durability::Memory => "nothing",
        image::Durability::Os => "the process",
        image::Durability::Disk => "loss of power",
    }
}

/// The keys of a bucket that begin as asked, a page of them.
pub(super) fn browse(view: &View, name: &str, query: &Query) -> Option<Response<WasiBody>> {
    let bucket = opened(view, name)?;
    let prefix = query.bytes("prefix").unwrap_or_default();
    let range = Range { prefix, after: query.bytes("after"), limit: CONSOLE_KEYS_MAX };
    let app = view.node.app();
    let (found, usage) = (app.store().scan(&bucket, range), app.store().usage(&bucket));
    let content = html! {
        nav.path aria-label="Where this is" { a href="/buckets" { "Buckets" } }
        h1 { (name) }
        @if let Ok(usage) = usage {
            dl.tiles {
                (page::tile("Keys", page::count(usage.keys), ""))
                (page::tile("Size", page::bytes(usage.bytes), "with keys"))
            }
        }
        form.filter role="search" {
            label { "Keys that begin with " input type="search" name="prefix" value=(String::from_utf8_lossy(prefix)) autocomplete="off"; }
            button { "Search" }
        }
        @match found {
            Err(error) => { p.error role="alert" { (error) } }
            Ok(found) if found.items.is_empty() && found.next.is_none() => { p.empty { "No key is like this." } }
            Ok(found) => {
                section.card {
                    table.stack {
                        caption { "Keys in their order" }
                        thead { tr { th scope="col" { "key" } th.number scope="col" { "bytes" } th scope="col" { "value" } } }
                        tbody {
                            @for (key, entry) in &found.items {
                                tr {
                                    th scope="row" { a href={ "/buckets/" (name) "/value?key=" (encode(key)) } { (shown_key(key)) } }
                                    td.number data-name="bytes" { (page::count(entry.value.len() as u64)) }
                                    td.preview data-name="value" { code { (preview(&entry.value)) } }
                                }
                            }
                        }
                    }
                }
                @if let Some(next) = &found.next {
                    p { a.button rel="next" href={ "/buckets/" (name) "?prefix=" (encode(prefix)) "&after=" (encode(next)) } { "Next page" } }
                }
            }
        }
    };
    Some(page(view, Tab::Buckets, name, &content))
}

/// A value, as JSON or text where it is that, and else byte by byte.
pub(super) fn value(view: &View, name: &str, query: &Query) -> Option<Response<WasiBody>> {
    let bucket = opened(view, name)?;
    let key = query.bytes("key")?;
    let entry = view.node.app().store().get(&bucket, key);
    let content = html! {
        nav.path aria-label="Where this is" { a href="/buckets" { "Buckets" } " / " a href={ "/buckets/" (name) } { (name) } }
        h1 { code { (shown_key(key)) } }
        @match entry {
            Err(error) => { p.error role="alert" { (error) } }
            Ok(None) => { p.empty { "There is no such key, or it has expired." } }
            Ok(Some(entry)) => {
                @let bytes = entry.value.len();
                @let head = &entry.value[..bytes.min(CONSOLE_VALUE_BYTES_MAX)];
                @let (kind, text) = shown(head, bytes > CONSOLE_VALUE_BYTES_MAX);
                dl.tiles {
                    (page::tile("Size", page::bytes(bytes as u64), ""))
                    (page::tile("Shown as", kind, ""))
                    (page::tile("Version", page::count(entry.version), ""))
                }
                @if head.len() < bytes {
                    p.note { "The first " (page::bytes(head.len() as u64)) " are shown. " code { "sampan state get" } " writes all of it." }
                }
                section.card { pre.value tabindex="0" aria-label="Value" { (text) } }
            }
        }
    };
    Some(page(view, Tab::Buckets, name, &content))
}

fn opened(view: &View, name: &str) -> Option<Bucket> {
    bucket(view.node.app().manifest(), name).ok()
}

fn shown_key(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => key.iter().map(|byte| byte.escape_ascii().to_string()).collect(),
    }
}

fn preview(value: &[u8]) -> String {
    let head = &value[..value.len().min(PREVIEW_CHARS * 4)];
    let text = String::from_utf8_lossy(head);
    let mut chars = text.chars().map(|char| if char.is_control() { '·' } else { char });
    let mut preview: String = chars.by_ref().take(PREVIEW_CHARS).collect();
    if chars.next().is_some() || head.len() < value.len() {
        preview.push('…');
    }
    preview
}

/// What a value is, and how it is written. `is_cut` is whether there is more of it.
fn shown(value: &[u8], is_cut: bool) -> (&'static str, String) {
    let text = match std::str::from_utf8(value) {
        Ok(text) => Some(text),
        // A character may have been cut in two.
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&value[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let Some(text) =
        text.filter(|text| !text.chars().any(|char| char.is_control() && !"\n\r\t".contains(char)))
    else {
        return ("bytes", dump(value));
    };
    let json = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .filter(|json| json.is_object() || json.is_array());
    match json {
        Some(json) => ("JSON", format!("{json:#}")),
        None => ("text", text.to_owned()),
    }
}

/// 16 bytes a line: where they are, in hexadecimal, and those that are ASCII.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let _ = write!(text, "{:06x} ", line * 16);
        for place in 0..16 {
            let gap = if place == 8 { " " } else { "" };
            let _ = match bytes.get(place) {
                Some(byte) => write!(text, "{gap} {byte:02x}"),
                None => write!(text, "{gap}   "),
            };
        }
        text.push_str("  ");
        text.extend(
            bytes
                .iter()
                .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '·' }),
        );
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{preview, shown, shown_key};

    #[test]
    fn a_value_is_shown_as_what_it_looks_like() {
        assert_eq!(shown(b"{\"a\":[1]}", false), ("JSON", "{\n  \"a\": [\n    1\n  ]\n}".to_owned()));
        assert_eq!(shown("größer".as_bytes(), false), ("text", "größer".to_owned()));
        assert_eq!(shown(&"größer".as_bytes()[..3], true), ("text", "gr".to_owned()));
        let (kind, text) = shown(&[0, 65, 255], false);
        assert_eq!(kind, "bytes");
        assert!(text.starts_with("000000  00 41 ff ") && text.ends_with("  ·A·\n"), "{text:?}");
    }

    #[test]
    fn keys_and_previews_are_one_line() {
        assert_eq!(shown_key(b"cart/7"), "cart/7");
        assert_eq!(shown_key(b"a\n\xff"), "a\\n\\xff");
        assert_eq!(preview(b"a\nb"), "a·b");
        assert_eq!(preview(&[b'x'; 500]).chars().count(), 81);
    }
}
