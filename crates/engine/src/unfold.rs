//! What a component unfolds to. The compiler lays out every instance of every component inside it one by one, so a file
//! of a kilobyte could ask for billions; here they are counted first, from the file alone.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    Encoding, Instance, Parser, Payload,
};

use wasmtime::bail;

use crate::limits::{COMPONENT_DEPTH_MAX, FOREIGN_INSTANCES_MAX, UNFOLDED_INSTANCES_MAX};

/// Refuses a component past the limits. Whatever else is wrong with one, the compiler says.
pub(crate) fn check(component: &[u8]) -> wasmtime::Result<()> {
    let mut unfolding = Unfolding::default();
    let read = Parser::new(0).parse_all(component).try_for_each(|payload| unfolding.read(&payload?));
    let Unfolding { depth, instances, foreign, .. } = unfolding;
    if depth > COMPONENT_DEPTH_MAX {
        bail!("components nested more than {COMPONENT_DEPTH_MAX} deep");
    }
    if read.is_ok() && instances > UNFOLDED_INSTANCES_MAX {
        bail!("components unfold to more than {UNFOLDED_INSTANCES_MAX} instances");
    }
    if read.is_ok() && foreign > FOREIGN_INSTANCES_MAX {
        bail!("components make instances of what they are given in more than {FOREIGN_INSTANCES_MAX} places");
    }
    Ok(())
}

#[derive(Default)]
struct Unfolding {
    /// The modules and components that are being read, each inside the one before.
    scopes: Vec<Scope>,
    /// The most of them at once.
    depth: usize,
    /// Instances that one instance of the component that was read last consists of.
    instances: u64,
    /// Places, anywhere in the file, that make an instance of a component which came from outside its scope: what it
    /// consists of shows only where it is given.
    foreign: u64,
}

struct Scope {
    encoding: Encoding,
    instances: u64,
    /// What an instance of each component in the index space consists of. `None` came from outside.
    components: Vec<Option<u64>>,
}

impl Unfolding {
    fn read(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        if let Payload::Version { encoding, .. } = payload {
            self.scopes.push(Scope { encoding: *encoding, instances: 0, components: Vec::new() });
            self.depth = self.depth.max(self.scopes.len());
        }
        let Some(scope) = self.scopes.last_mut() else {
            return Ok(());
        };
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    scope.instances += u64::from(matches!(instance?, Instance::Instantiate { .. }));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        match scope.component(component_index) {
                            Some(inside) => {
                                scope.instances = scope.instances.saturating_add(inside).saturating_add(1)
                            }
                            None => self.foreign += 1,
                        }
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    if import?.ty.kind() == ComponentExternalKind::Component {
                        scope.components.push(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Component {
                        scope.components.push(scope.component(export.index));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?);
                }
            }
            Payload::End(_) => self.end(),
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let found = match alias {
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let outer = self.scopes.iter().rev().nth(*count as usize);
                outer.and_then(|scope| scope.component(*index))
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => None,
            _ => return,
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.components.push(found);
        }
    }

    fn end(&mut self) {
        if let Some(ended) = self.scopes.pop()
            && ended.encoding == Encoding::Component
        {
            self.instances = ended.instances;
            if let Some(outer) = self.scopes.last_mut() {
                // So bounded, sums never overflow before they are looked at.
                outer.components.push(Some(ended.instances.min(u64::MAX / 2)));
            }
        }
    }
}

impl Scope {
    fn component(&self, index: u32) -> Option<u64> {
        self.components.get(index as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{Unfolding, check};
    use wasmparser::Parser;

    fn count(text: &str) -> (u64, u64) {
        let component = wat::parse_str(text).expect("it is valid text");
        let mut unfolding = Unfolding::default();
        for payload in Parser::new(0).parse_all(&component) {
            unfolding.read(&payload.expect("it is well-formed")).expect("it is well-formed");
        }
        (unfolding.instances, unfolding.foreign)
    }

    /// A component of `depth` levels, each of `width` instances of the one below, and a module at the bottom.
    fn pyramid(depth: usize, width: usize) -> String {
        let module = "(core module $m) (core instance (instantiate $m))".to_owned();
        (0..depth).fold(module, |inside, level| {
            format!(
                "(component $c{level} {inside}) {}",
                format!("(instance (instantiate $c{level}))").repeat(width)
            )
        })
    }

    #[test]
    fn instances_are_counted_through_all_levels() {
        assert_eq!(count("(component)"), (0, 0));
        assert_eq!(count(&format!("(component {})", pyramid(0, 0))), (1, 0));
        assert_eq!(count(&format!("(component {})", pyramid(1, 3))), (6, 0));
        assert_eq!(count(&format!("(component {})", pyramid(2, 3))), (21, 0));
    }

    #[test]
    fn components_are_followed_through_aliases_and_exports() {
        let inner = "(component $a (core module $m) (core instance (instantiate $m)))";
        let alias = format!(
            "(component {inner} (component $b (alias outer 1 $a (component $x)) (instance (instantiate $x))) (instance (instantiate $b)))"
        );
        assert_eq!(count(&alias), (3, 0));
        let export =
            format!("(component {inner} (export $b \"b\" (component $a)) (instance (instantiate $b)))");
        assert_eq!(count(&export), (2, 0));
        let import = "(component (import \"a\" (component $a)) (instance (instantiate $a)))";
        assert_eq!(count(import), (0, 1));
    }

    #[test]
    fn a_pyramid_without_end_is_not_bounded() {
        let refused = |depth, width| {
            let text = format!("(component {})", pyramid(depth, width));
            let component = wat::parse_str(text).expect("it is valid text");
            check(&component).err().map(|error| error.to_string())
        };
        assert_eq!(refused(3, 10), None);
        for depth in [4, 8, 90] {
            let reason = "components unfold to more than 10000 instances";
            assert_eq!(refused(depth, 10).as_deref(), Some(reason), "{depth}");
        }
    }
}
