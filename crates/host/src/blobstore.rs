//! `wasi:blobstore`: the containers of objects of an app.

use std::fmt::Display;
use std::time::{SystemTime, UNIX_EPOCH};

use state::Container;
use wasmtime::component::{Linker, Resource};

use crate::Host;
use crate::denials::Denial;
use crate::host::{App, AppView};

mod objects;

use objects::{Incoming, Outgoing};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "
            import wasi:blobstore/types@0.2.0-draft;
            import wasi:blobstore/container@0.2.0-draft;
            import wasi:blobstore/blobstore@0.2.0-draft;
        ",
        imports: {
            "wasi:blobstore/types.[static]outgoing-value.new-outgoing-value": trappable,
            "wasi:blobstore/types.[method]outgoing-value.outgoing-value-write-body": trappable,
            "wasi:blobstore/types.[method]incoming-value.size": trappable,
            default: async,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:blobstore/types.outgoing-value": super::objects::Outgoing,
            "wasi:blobstore/types.incoming-value": super::objects::Incoming,
            "wasi:blobstore/container.container": state::Container,
            "wasi:blobstore/container.stream-object-names": super::Names,
        },
    });
}

use generated::wasi::blobstore::container::{ContainerMetadata, ObjectMetadata};
use generated::wasi::blobstore::{blobstore, container, types};

/// The names of the objects in a container, as far as they were not read yet.
#[expect(unreachable_pub, reason = "the generated code exports it again")]
pub struct Names {
    container: Container,
    after: Option<Vec<u8>>,
    ended: bool,
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl AppView<'_> {
    fn container(&self, name: String) -> Result<Container, String> {
        match self.bindings.and_then(|bindings| bindings.containers.get(&name)) {
            Some(container) => Ok(container.clone()),
            None => {
                let denial = Denial::Container(name);
                let error = said(&denial);
                self.denials.record(denial);
                Err(error)
            }
        }
    }

    fn opened(&self, container: &Resource<Container>) -> Result<Container, String> {
        self.table.get(container).cloned().map_err(said)
    }

    fn created(&self, container: &Container) -> Result<u64, String> {
        let created = container.created().map_err(|error| self.told(&error))?;
        created.map(seconds).ok_or_else(|| format!("there is no container `{}`", container.name()))
    }

    fn object(&self, container: &Container, name: &str) -> Result<state::blobs::Info, String> {
        let info = container.info(name).map_err(|error| self.told(&error))?;
        info.ok_or_else(|| format!("there is no object `{name}` in the container `{}`", container.name()))
    }
}

impl blobstore::Host for AppView<'_> {
    async fn create_container(&mut self, name: String) -> Result<Resource<Container>, String> {
        let container = self.container(name)?;
        container.create().await.map_err(|error| self.told(&error))?;
        self.table.push(container).map_err(said)
    }

    async fn get_container(&mut self, name: String) -> Result<Resource<Container>, String> {
        let container = self.container(name)?;
        self.created(&container)?;
        self.table.push(container).map_err(said)
    }

    async fn delete_container(&mut self, name: String) -> Result<(), String> {
        let container = self.container(name)?;
        container.remove().await.map_err(|error| self.told(&error))
    }

    async fn container_exists(&mut self, name: String) -> Result<bool, String> {
        let container = self.container(name)?;
        Ok(container.created().map_err(|error| self.told(&error))?.is_some())
    }

    async fn copy_object(&mut self, from: types::ObjectId, to: types::ObjectId) -> Result<(), String> {
        let (source, target) = (self.container(from.container)?, self.container(to.container)?);
        let copied = source.copy(&from.object, (&target, &to.object));
        copied.await.map_err(|error| self.told(&error))
    }

    async fn move_object(&mut self, from: types::ObjectId, to: types::ObjectId) -> Result<(), String> {
        let (source, target) = (self.container(from.container)?, self.container(to.container)?);
        let moved = source.rename(&from.object, (&target, &to.object));
        moved.await.map_err(|error| self.told(&error))
    }
}

impl container::Host for AppView<'_> {}

impl container::HostContainer for AppView<'_> {
    async fn name(&mut self, container: Resource<Container>) -> Result<String, String> {
        Ok(self.opened(&container)?.name().to_owned())
    }

    async fn info(&mut self, container: Resource<Container>) -> Result<ContainerMetadata, String> {
        let container = self.opened(&container)?;
        Ok(ContainerMetadata { created_at: self.created(&container)?, name: container.name().to_owned() })
    }

    async fn get_data(
        &mut self,
        container: Resource<Container>,
        object: String,
        start: u64,
        end: u64,
    ) -> Result<Resource<Incoming>, String> {
        let container = self.opened(&container)?;
        let length = end.checked_sub(start).map_or(0, |behind| behind.saturating_add(1));
        self.object(&container, &object)?;
        let reading = container.read(&object, start, length).map_err(|error| self.told(&error))?;
        self.table.push(Incoming::new(reading)).map_err(said)
    }

    async fn write_data(
        &mut self,
        container: Resource<Container>,
        object: String,
        value: Resource<Outgoing>,
    ) -> Result<(), String> {
        let container = self.opened(&container)?;
        let writing = container.write_object(&object).await.map_err(|error| self.told(&error))?;
        self.table.get_mut(&value).map_err(said)?.write_to(writing)
    }

    async fn list_objects(&mut self, container: Resource<Container>) -> Result<Resource<Names>, String> {
        let container = self.opened(&container)?;
        self.created(&container)?;
        self.table.push(Names { container, after: None, ended: false }).map_err(said)
    }

    async fn delete_object(&mut self, container: Resource<Container>, object: String) -> Result<(), String> {
        self.delete_objects(container, vec![object]).await
    }

    async fn delete_objects(
        &mut self,
        container: Resource<Container>,
        objects: Vec<String>,
    ) -> Result<(), String> {
        let container = self.opened(&container)?;
        for object in objects {
            container.remove_object(&object).await.map_err(|error| self.told(&error))?;
        }
        Ok(())
    }

    async fn has_object(&mut self, container: Resource<Container>, object: String) -> Result<bool, String> {
        let container = self.opened(&container)?;
        Ok(container.info(&object).map_err(|error| self.told(&error))?.is_some())
    }

    async fn object_info(
        &mut self,
        container: Resource<Container>,
        object: String,
    ) -> Result<ObjectMetadata, String> {
        let container = self.opened(&container)?;
        let info = self.object(&container, &object)?;
        let created_at = seconds(info.created);
        let container = container.name().to_owned();
        Ok(ObjectMetadata { name: object, container, created_at, size: info.bytes })
    }

    async fn clear(&mut self, container: Resource<Container>) -> Result<(), String> {
        let mut names = Names { container: self.opened(&container)?, after: None, ended: false };
        while !names.ended {
            for object in names.read(u64::MAX).map_err(|error| self.told(&error))? {
                names.container.remove_object(&object).await.map_err(|error| self.told(&error))?;
            }
        }
        Ok(())
    }

    async fn drop(&mut self, container: Resource<Container>) -> wasmtime::Result<()> {
        self.table.delete(container)?;
        Ok(())
    }
}

impl Names {
    /// The next page of them, and at most `count`.
    fn read(&mut self, count: u64) -> Result<Vec<String>, state::Error> {
        if self.ended || count == 0 {
            return Ok(Vec::new());
        }
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let page = self.container.objects(self.after.as_deref(), limit)?;
        self.ended = page.next.is_none();
        self.after = page.next;
        Ok(page.items)
    }
}

impl container::HostStreamObjectNames for AppView<'_> {
    async fn read_stream_object_names(
        &mut self,
        names: Resource<Names>,
        count: u64,
    ) -> Result<(Vec<String>, bool), String> {
        let names = self.table.get_mut(&names).map_err(said)?;
        let (read, ended) = (names.read(count), names.ended);
        Ok((read.map_err(|error| self.told(&error))?, ended))
    }

    async fn skip_stream_object_names(
        &mut self,
        names: Resource<Names>,
        count: u64,
    ) -> Result<(u64, bool), String> {
        let (skipped, ended) = self.read_stream_object_names(names, count).await?;
        Ok((skipped.len() as u64, ended))
    }

    async fn drop(&mut self, names: Resource<Names>) -> wasmtime::Result<()> {
        self.table.delete(names)?;
        Ok(())
    }
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, App>(linker, Host::app)?;
    container::add_to_linker::<_, App>(linker, Host::app)?;
    blobstore::add_to_linker::<_, App>(linker, Host::app)
}
