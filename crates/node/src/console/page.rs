//! What all pages share: their frame, and how they write numbers.

use std::time::Duration;

use http::{Response, StatusCode};
use maud::{DOCTYPE, Markup, html};
use wasmtime_wasi_http::WasiBody;

use super::{View, reply};

/// The parts of the console.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Functions,
    Chains,
    Buckets,
    Logs,
}

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Functions, "/", "Functions"),
    (Tab::Chains, "/chains", "Chains"),
    (Tab::Buckets, "/buckets", "Buckets"),
    (Tab::Logs, "/logs", "Logs"),
];

/// A page of a part of the console.
pub(super) fn page(view: &View, tab: Tab, title: &str, content: &Markup) -> Response<WasiBody> {
    reply::html(StatusCode::OK, frame(view, Some(tab), title, content))
}

/// Says that there is no such page.
pub(super) fn missing(view: &View, path: &str) -> Response<WasiBody> {
    let content = html! {
        h1 { "Nothing is here" }
        p { "There is no page " code { (path) } ". " a href="/" { "See the functions" } "." }
    };
    reply::html(StatusCode::NOT_FOUND, frame(view, None, "Nothing is here", &content))
}

/// Asks for the token.
pub(super) fn log_in(status: StatusCode, wrong: Option<&str>) -> Response<WasiBody> {
    let content = html! {
        body.narrow {
            main {
                p.brand { (logo()) "sampan" }
                h1 { "This console needs its token" }
                p { "The node printed it when it began to listen here." }
                @if let Some(wrong) = wrong {
                    p.error role="alert" { (wrong) }
                }
                form.filter action="/login" {
                    label { "Token " input type="password" name="token" required autocomplete="current-password"; }
                    button { "Open" }
                }
            }
        }
    };
    reply::html(status, html! { (DOCTYPE) html lang="en" { (head("Log in", false)) (content) } })
}

fn frame(view: &View, current: Option<Tab>, title: &str, content: &Markup) -> Markup {
    let app = view.node.app();
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{title} · {}", app.name()), true))
            body {
                a.skip href="#content" { "Skip to content" }
                header {
                    a.brand href="/" { (logo()) span { (app.name()) } small { (app.version()) } }
                    nav aria-label="Console" {
                        @for (tab, path, name) in TABS {
                            a href=(path) aria-current=[(current == Some(tab)).then_some("page")] { (name) }
                        }
                    }
                }
                main id="content" tabindex="-1" { (content) }
                footer {
                    span { "Served at " a href={ "http://" (view.node.listen) "/" } { (view.node.listen) } }
                    a href="/metrics" { "Metrics" }
                    span { "sampan " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
}

fn head(title: &str, is_live: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href="/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/style.css";
            @if is_live { script src="/console.js" defer {} }
        }
    }
}

/// A sampan under sail.
fn logo() -> Markup {
    html! {
        svg.logo viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" {
            path.sail d="M15 3 C22 7 25 13 25 20 L15 20 Z" {}
            path.jib d="M13 7 L13 20 L6.5 20 C7 15 9.5 10.5 13 7 Z" {}
            path.hull d="M3 22.5 H29 C27.5 26.8 24.5 29 20.5 29 H11.5 C7.5 29 4.5 26.8 3 22.5 Z" {}
        }
    }
}

/// A number in large print, and what it is of.
pub(super) fn tile(name: &str, value: impl maud::Render, note: impl maud::Render) -> Markup {
    html! { div.tile { dt { (name) } dd { span.value { (value) } " " span.note { (note) } } } }
}

/// A number with its thousands set apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A rate, with as many digits as say something.
pub(super) fn rate(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        ..9.95 => format!("{number:.1}"),
        _ => count(number.round() as u64),
    }
}

/// Microseconds, in the unit that fits.
pub(super) fn micros(us: u64) -> String {
    let number = us as f64;
    let digits = |number: f64| if number < 9.95 { 1 } else { 0 };
    let (number, unit) = match us {
        ..1_000 => return format!("{us}\u{a0}µs"),
        1_000..1_000_000 => (number / 1e3, "ms"),
        1_000_000..60_000_000 => (number / 1e6, "s"),
        _ => (number / 6e7, "min"),
    };
    format!("{number:.*}\u{a0}{unit}", digits(number))
}

/// Bytes, in the unit that fits.
pub(super) fn bytes(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if number < 1000.0 {
            break;
        }
        (number, unit) = (number / 1024.0, next);
    }
    let digits = if unit == "B" || number >= 9.95 { 0 } else { 1 };
    format!("{number:.digits$}\u{a0}{unit}")
}

/// A length of time, in its two largest units.
pub(super) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let (large, small) = match seconds {
        ..60 => return format!("{seconds}\u{a0}s"),
        60..3_600 => ((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3_600, "h")),
    };
    let text = |(number, unit)| format!("{number}\u{a0}{unit}");
    match small.0 {
        0 => text(large),
        _ => format!("{} {}", text(large), text(small)),
    }
}

/// A moment, in UTC, and for machines.
pub(super) fn moment(time_us: u64) -> Markup {
    let (days, of_day) = (time_us / 86_400_000_000, time_us % 86_400_000_000);
    let (year, month, day) = date(days);
    let seconds = of_day / 1_000_000;
    let clock = format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3_600,
        seconds % 3_600 / 60,
        seconds % 60,
        of_day % 1_000_000 / 1_000
    );
    let date = format!("{year:04}-{month:02}-{day:02}");
    html! { time datetime={ (date) "T" (clock) "Z" } title={ (date) " " (clock) " UTC" } { (clock) } }
}

/// Year, month and day, so many days after the first of January 1970 (Howard Hinnant, "chrono-compatible low-level
/// date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, date, micros, rate};

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!([0.0, 0.2, 9.96, 1234.4].map(rate), ["0", "0.2", "10", "1\u{202f}234"]);
        assert_eq!(
            [12, 1_250, 48_900, 2_000_000, 90_000_000].map(micros),
            ["12\u{a0}µs", "1.2\u{a0}ms", "49\u{a0}ms", "2.0\u{a0}s", "1.5\u{a0}min"]
        );
        assert_eq!([999, 1_536, 64 << 20].map(bytes), ["999\u{a0}B", "1.5\u{a0}KiB", "64\u{a0}MiB"]);
    }

    #[test]
    fn days_have_dates() {
        assert_eq!(
            [0, 59, 11_016, 20_779].map(date),
            [(1970, 1, 1), (1970, 3, 1), (2000, 2, 29), (2026, 11, 22)]
        );
    }
}
