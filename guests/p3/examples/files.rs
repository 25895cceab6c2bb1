//! Files through WASI 0.3's own interface.
//!
//! source: WASI 0.3 wasi:filesystem types, preopens: errors by name, and no path leads out of a directory
//! case: what a directory holds can be read, made, changed and removed
//! sampan: --dir $DIR:/data
//! file in.txt: content
//! link out: ../out/secret.txt
//! args: use
//! exit: 0
//! after made: new
//! case: a directory for reading only
//! sampan: --dir $DIR:/data:ro
//! file in.txt: content
//! link out: ../out/secret.txt
//! args: read-only
//! exit: 0
//! after in.txt: content
//! case: no directory
//! args: none
//! exit: 1
//! stdout: []
//! stderr~: hint: it was granted no directory for its files; `--dir HOST[:GUEST]` grants it
//! case: open files
//! sampan: --dir $DIR:/data -O handles=64
//! file in.txt: content
//! args: many
//! exit: 1
//! stderr~: files.wasm` reached its limit of 64 open files and other host resources
//! stderr~: hint: `-O handles=COUNT` sets the limit

use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};

struct Files;

wasip3::cli::command::export!(Files);

impl wasip3::exports::cli::run::Guest for Files {
    async fn run() -> Result<(), ()> {
        let case = wasip3::cli::environment::get_arguments()[1].clone();
        let mut directories = get_directories();
        if case == "none" {
            let names: Vec<&String> = directories.iter().map(|(_, name)| name).collect();
            p3::print(format!("{names:?}\n")).await;
            return Err(());
        }
        assert_eq!(directories.len(), 1);
        let (directory, name) = directories.remove(0);
        assert_eq!(name, "/data");
        escapes(&directory).await;
        match case.as_str() {
            "use" => uses(&directory).await,
            "read-only" => changes_nothing(&directory).await,
            "many" => opens_many(&directory).await,
            other => panic!("no such case: {other}"),
        }
        Ok(())
    }
}

async fn open(
    at: &Descriptor,
    path: &str,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    at.open_at(PathFlags::SYMLINK_FOLLOW, path.to_owned(), how, flags).await
}

async fn read(at: &Descriptor, path: &str) -> Result<Vec<u8>, ErrorCode> {
    let file = open(at, path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (bytes, ended) = file.read_via_stream(0);
    let bytes = bytes.collect().await;
    ended.await.map(|()| bytes)
}

async fn escapes(directory: &Descriptor) {
    for path in ["/etc/passwd", "..", "../out/secret.txt", "out", "x/../../out/secret.txt"] {
        let refused = read(directory, path).await.expect_err(path);
        assert!(matches!(refused, ErrorCode::NotPermitted | ErrorCode::NoEntry), "{path}: {refused:?}");
    }
}

async fn uses(directory: &Descriptor) {
    assert_eq!(read(directory, "in.txt").await.expect("read"), b"content\n");
    let refused = read(directory, "none").await.expect_err("not there");
    assert!(matches!(refused, ErrorCode::NoEntry), "{refused:?}");

    let new = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let file = open(directory, "made", new, DescriptorFlags::WRITE).await.expect("made");
    let (bytes, write) = p3::stream(b"NEW\n".to_vec());
    let (written, ()) = futures::join!(async { file.write_via_stream(bytes, 0).await }, write);
    written.expect("written");
    let (bytes, write) = p3::stream(b"new".to_vec());
    let (written, ()) = futures::join!(async { file.write_via_stream(bytes, 0).await }, write);
    written.expect("written over");
    let stat = file.stat().await.expect("described");
    assert!(matches!(stat.type_, DescriptorType::RegularFile) && stat.size == 4);
    let exists = open(directory, "made", new, DescriptorFlags::WRITE).await.expect_err("made once");
    assert!(matches!(exists, ErrorCode::Exist), "{exists:?}");

    directory.create_directory_at("d".to_owned()).await.expect("created");
    directory.rename_at("in.txt".to_owned(), directory, "d/moved".to_owned()).await.expect("moved");
    let full = directory.remove_directory_at("d".to_owned()).await.expect_err("not empty");
    assert!(matches!(full, ErrorCode::NotEmpty), "{full:?}");
    directory.unlink_file_at("d/moved".to_owned()).await.expect("removed");
    directory.remove_directory_at("d".to_owned()).await.expect("removed");

    let (entries, ended) = directory.read_directory();
    let mut names: Vec<String> = entries.collect().await.into_iter().map(|entry| entry.name).collect();
    ended.await.expect("all entries");
    names.sort();
    assert_eq!(names, ["made", "out"]);
}

async fn changes_nothing(directory: &Descriptor) {
    assert_eq!(read(directory, "in.txt").await.expect("read"), b"content\n");
    let refusals = [
        open(directory, "in.txt", OpenFlags::empty(), DescriptorFlags::WRITE).await.map(drop),
        open(directory, "in.txt", OpenFlags::TRUNCATE, DescriptorFlags::READ).await.map(drop),
        open(directory, "new", OpenFlags::CREATE, DescriptorFlags::READ).await.map(drop),
        directory.create_directory_at("new".to_owned()).await,
        directory.unlink_file_at("in.txt".to_owned()).await,
        directory.rename_at("in.txt".to_owned(), directory, "new".to_owned()).await,
        directory.symlink_at("in.txt".to_owned(), "new".to_owned()).await,
        directory.link_at(PathFlags::empty(), "in.txt".to_owned(), directory, "new".to_owned()).await,
    ];
    for (position, refusal) in refusals.iter().enumerate() {
        let refused = matches!(refusal, Err(ErrorCode::NotPermitted | ErrorCode::ReadOnly));
        assert!(refused, "call {position}: {refusal:?}");
    }
}

async fn opens_many(directory: &Descriptor) {
    let mut files = Vec::new();
    loop {
        let file = open(directory, "in.txt", OpenFlags::empty(), DescriptorFlags::READ).await;
        files.push(file.expect("the limit ends the program, not the call"));
    }
}
