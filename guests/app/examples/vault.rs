//! Blobs and SQL over HTTP: `/sql/execute`, `/sql/query` and `/sql/batch` run the statement in the body;
//! `/blobs/CONTAINER/OBJECT` is read by GET, written by PUT, removed by DELETE. `/create/CONTAINER` makes a container, as
//! `exists`, `list` and `delete` do what they say; `/copy/CONTAINER/OBJECT` and `move` have the target in the body.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:vault; world vault {
        import wasi:blobstore/blobstore@0.2.0-draft;
        import sampan:sql/database@0.1.0;
    }",
    generate_all,
});

use sampan::sql::database::{self, Error, Value};
use wasi::blobstore::blobstore;
use wasi::blobstore::types::{IncomingValue, ObjectId, OutgoingValue};

/// Bytes that a stream takes at once.
const PIECE_BYTES: usize = 4096;

struct Vault;

wasip2::http::proxy::export!(Vault);

impl Guest for Vault {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let body = match app::read(&request.consume().expect("once")) {
            Ok(body) => body,
            Err(error) => return ResponseOutparam::set(out, Err(error)),
        };
        let path = request.path_with_query().unwrap_or_default();
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let [verb, place, object] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let done = match verb {
            "sql" => {
                run(place, String::from_utf8_lossy(&body).into_owned()).map_err(|error| format!("{error:?}"))
            }
            "blobs" => keep(&request.method(), place, object, &body),
            _ => manage(verb, place, object, &String::from_utf8_lossy(&body)).map(String::into_bytes),
        };
        match done {
            Ok(found) => app::answer(out, 200, &found),
            Err(error) => app::answer(out, 400, error.as_bytes()),
        }
    }
}

fn run(verb: &str, statement: String) -> Result<Vec<u8>, Error> {
    match verb {
        "execute" => database::execute(&statement, &[]).map(|changes| changes.rows.to_string().into_bytes()),
        "batch" => database::batch(&[(statement, Vec::new())]).map(|all| all.len().to_string().into_bytes()),
        _ => {
            let found = database::query(&statement, &[])?;
            let lines = found.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join(" "));
            Ok(lines.collect::<Vec<_>>().join("\n").into_bytes())
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn keep(method: &Method, container: &str, object: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    let container = blobstore::get_container(container)?;
    match method {
        Method::Put => {
            let value = OutgoingValue::new_outgoing_value();
            let stream = value.outgoing_value_write_body().map_err(|()| "it was written before")?;
            container.write_data(object, &value)?;
            for piece in body.chunks(PIECE_BYTES) {
                stream.blocking_write_and_flush(piece).map_err(|error| error.to_string())?;
            }
            drop(stream);
            OutgoingValue::finish(value).map(|()| Vec::new())
        }
        Method::Delete => container.delete_object(object).map(|()| Vec::new()),
        _ => IncomingValue::incoming_value_consume_sync(container.get_data(object, 0, u64::MAX)?),
    }
}

fn manage(verb: &str, container: &str, object: &str, to: &str) -> Result<String, String> {
    let ids = || {
        let (to, new) = to.split_once('/').ok_or("no object is named")?;
        let id =
            |container: &str, object: &str| ObjectId { container: container.into(), object: object.into() };
        Ok::<_, String>((id(container, object), id(to, new)))
    };
    match verb {
        "create" => blobstore::create_container(container)?.name(),
        "exists" => blobstore::container_exists(container).map(|exists| exists.to_string()),
        "list" => {
            let names = blobstore::get_container(container)?.list_objects()?;
            names.read_stream_object_names(1_000).map(|(names, _)| names.join("\n"))
        }
        "delete" => blobstore::delete_container(container).map(|()| String::new()),
        "copy" => ids().and_then(|(from, to)| blobstore::copy_object(&from, &to)).map(|()| String::new()),
        "move" => ids().and_then(|(from, to)| blobstore::move_object(&from, &to)).map(|()| String::new()),
        _ => Err(format!("no verb `{verb}`")),
    }
}
