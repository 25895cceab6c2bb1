//! A bucket goes out as lines and comes back the same.

use std::sync::Arc;
use std::time::SystemTime;

use state::{Batch, Bucket, BucketSpec, Durability, Error, Memory, Range, Store, transfer};

fn bucket(store: &dyn Store, name: &str) -> Bucket {
    let bucket = Bucket::new(BucketSpec::new("app", name, Durability::Memory)).unwrap();
    store.open(&bucket).unwrap();
    bucket
}

#[test]
fn what_goes_out_comes_back() {
    let store = Memory::new(Arc::new(SystemTime::now));
    let (from, to) = (bucket(&store, "from"), bucket(&store, "to"));
    let batch = Batch::default().put("text", "gr\u{fc}n\n").put([0xff, 0], [0xfe]).put("empty", "");
    store.write(&from, batch).wait().unwrap();
    // More than a page, and more than a batch.
    let many = (0..2_500).fold(Batch::default(), |batch, n| batch.put(format!("x{n:04}"), vec![b'y'; 1_000]));
    store.write(&from, many).wait().unwrap();
    let mut lines = Vec::new();
    assert_eq!(transfer::export(&store, &from, &mut lines).unwrap(), 2_503);
    let text = String::from_utf8(lines.clone()).unwrap();
    assert!(
        text.starts_with("{\"key\":\"empty\",\"value\":\"\"}\n{\"key\":\"text\",\"value\":\"grün\\n\"}\n")
    );
    assert!(text.ends_with("{\"key_base64\":\"/wA=\",\"value_base64\":\"/g==\"}\n"));
    assert_eq!(transfer::import(&store, &to, lines.as_slice()).unwrap(), 2_503);
    let values = |bucket| {
        let page = store.scan(bucket, Range { prefix: b"", after: Some(b"x2000"), limit: 0 }).unwrap();
        page.items.into_iter().map(|(key, entry)| (key, entry.value)).collect::<Vec<_>>()
    };
    assert_eq!(values(&from), values(&to));
    assert_eq!(store.usage(&from).unwrap(), store.usage(&to).unwrap());
}

#[test]
fn a_line_that_is_no_entry_is_named() {
    let store = Memory::new(Arc::new(SystemTime::now));
    let bucket = bucket(&store, "to");
    let good = "{\"key\":\"k\",\"value\":\"v\"}\n";
    for bad in [
        "\n",
        "[]",
        "{}",
        "{\"key\":\"k\"}",
        "{\"key\":\"k\",\"value\":1}",
        "{\"key\":\"k\",\"value\":\"v\",\"more\":1}",
        "{\"key\":\"k\",\"key_base64\":\"aw==\",\"value\":\"v\"}",
        "{\"key_base64\":\"!\",\"value\":\"v\"}",
    ] {
        let result = transfer::import(&store, &bucket, format!("{good}{bad}").as_bytes());
        assert!(matches!(result, Err(Error::Line(2))), "{bad}: {result:?}");
    }
    // A line without an end is not read to its end.
    let result = transfer::import(&store, &bucket, std::io::repeat(b'x'));
    assert!(matches!(result, Err(Error::Line(1))));
    assert!(matches!(
        transfer::import(&store, &bucket, "{\"key\":\"\",\"value\":\"v\"}".as_bytes()),
        Err(Error::Key { .. })
    ));
}
