//! Where one case is played: its own directory, a secret outside of it, and ports of this machine.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::case::Case;
use crate::tls;

/// What no program may ever read.
pub(crate) const SECRET: &str = "the secret of the host";
/// What the directory outside holds, and nothing more.
const SECRET_FILE: &str = "secret.txt";

pub(crate) struct Scene {
    _temporary: tempfile::TempDir,
    /// `$DIR`: what a case grants.
    pub(crate) dir: PathBuf,
    /// `$OUT`: what no case grants.
    pub(crate) out: PathBuf,
    /// `$AUTHORITY`: the certificate behind the encrypted server's.
    authority: PathBuf,
    /// `$PORT`: where the server of the case listens.
    pub(crate) port: u16,
    /// `$OTHER`: where something listens that no case grants.
    other: TcpListener,
}

impl Scene {
    /// Makes the directories and files that `case` begins with.
    pub(crate) fn set(case: &Case, port: u16) -> io::Result<Self> {
        let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let root = temporary.path().canonicalize()?;
        let scene = Self {
            dir: root.join("dir"),
            out: root.join("out"),
            authority: root.join("authority.pem"),
            port,
            other: TcpListener::bind("127.0.0.1:0")?,
            _temporary: temporary,
        };
        fs::create_dir(&scene.dir)?;
        fs::create_dir(&scene.out)?;
        fs::write(scene.out.join(SECRET_FILE), SECRET)?;
        fs::write(&scene.authority, tls::authority())?;
        for (path, content) in &case.files {
            write(&scene.dir.join(path), &scene.fill(content))?;
        }
        for (path, target) in &case.links {
            let path = scene.dir.join(path);
            fs::create_dir_all(path.parent().expect("under $DIR"))?;
            symlink(scene.fill(target), path)?;
        }
        Ok(scene)
    }

    /// `text` with `$DIR`, `$OUT`, `$AUTHORITY`, `$PORT` and `$OTHER` filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let other = self.other.local_addr().expect("a bound socket").port();
        text.replace("$DIR", &self.dir.to_string_lossy())
            .replace("$OUT", &self.out.to_string_lossy())
            .replace("$AUTHORITY", &self.authority.to_string_lossy())
            .replace("$PORT", &self.port.to_string())
            .replace("$OTHER", &other.to_string())
    }

    /// Says what the guest changed outside of its directory, if it did.
    pub(crate) fn trespass(&self) -> Option<String> {
        let names: Vec<_> = fs::read_dir(&self.out).ok()?.flatten().map(|entry| entry.file_name()).collect();
        let content = fs::read_to_string(self.out.join(SECRET_FILE)).unwrap_or_default();
        (names != [SECRET_FILE] || content != SECRET).then(|| {
            format!("the directory outside was changed: it holds {names:?}, the secret is {content:?}")
        })
    }
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("under $DIR"))?;
    fs::write(path, content)
}
