//! A component whose modules are [shims](super::module), where they can be.
//!
//! Components give a module its imports from among their own, so one import is added, and given to each shim. What a host
//! function of a component cannot do is to look into the instance that calls it. But it can be passed a list, which lies in
//! a memory: so each shim is followed by a small module, the binder, which passes an empty one at the start of each of its
//! memories. What is added moves the numbers of what follows; all else stays as it was.
//!
//! Nothing of a component may name what is a shim's alone: such a component is refused.

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, CodeSection, Component, ComponentAliasSection,
    ComponentExportKind, ComponentImportSection, ComponentSectionId, ComponentTypeRef, ComponentTypeSection,
    ComponentValType, EntityType, ExportKind, Function, FunctionSection, ImportSection, InstanceSection,
    InstanceType, Module, ModuleArg, PrimitiveValType, RawSection, StartSection, TypeSection, ValType,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ExternalKind, Instance, Parser, Payload,
};

use super::module::{EXCHANGE, INITIALIZE, MODULE, PREFIX, memory_name};

/// What the component imports.
pub(super) const INTERFACE: &str = "sampan:native/code";

/// Which memory it is whose start a binder passes last.
pub(super) const LAST: u32 = u32::MAX;

/// A shim in place of a module.
pub(super) struct Shim {
    pub(super) wasm: Vec<u8>,
    /// How many memories the module has.
    pub(super) memories: usize,
}

/// The modules that stand in a component itself, in order; nothing if it names what it must not, in these or in others.
pub(super) fn modules(component: &[u8]) -> wasmparser::Result<Option<Vec<&[u8]>>> {
    let mut modules = Vec::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if import?.name.starts_with(PREFIX) {
                        return Ok(None);
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    if let ComponentAlias::CoreInstanceExport { name, .. } = alias?
                        && name.starts_with(PREFIX)
                    {
                        return Ok(None);
                    }
                }
            }
            Payload::ModuleSection { unchecked_range, .. } => {
                if depth == 0 {
                    modules.push(component.get(unchecked_range).unwrap_or_default());
                }
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    Ok(Some(modules))
}

/// The component with these shims in place of its modules.
///
/// # Errors
/// What is not valid in it, or cannot be written again.
pub(super) fn rewrite(component: &[u8], shims: Vec<Option<Shim>>) -> Result<Vec<u8>, Error<Infallible>> {
    let mut rewriter = Rewriter { shims: shims.into_iter(), ..Rewriter::default() };
    let mut written = Component::new();
    rewriter.begin(&mut written);
    rewriter.parse_component(&mut written, Parser::new(0), component)?;
    Ok(written.finish())
}

/// Where the numbers of one kind of thing went.
#[derive(Default)]
struct Numbers {
    now: Vec<u32>,
    next: u32,
}

impl Numbers {
    /// Something that was there gets its number.
    fn keep(&mut self) {
        self.now.push(self.next);
        self.next += 1;
    }

    /// Something new gets its number.
    const fn add(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// The number of what was there; one that nothing has for what was not.
    fn get(&self, before: u32) -> u32 {
        self.now.get(before as usize).copied().unwrap_or(u32::MAX)
    }
}

/// Writes the component again. Only its own numbers change, not those inside of types and components in it.
#[derive(Default)]
struct Rewriter {
    /// Of types and components in which it is.
    depth: u32,
    types: Numbers,
    functions: Numbers,
    instances: Numbers,
    core_functions: Numbers,
    core_memories: Numbers,
    core_instances: Numbers,
    core_modules: Numbers,
    /// What comes in place of each module section to come.
    shims: std::vec::IntoIter<Option<Shim>>,
    /// The memories of each module so far, if it is a shim.
    memories: Vec<Option<usize>>,
    /// The binder for so many memories.
    binders: BTreeMap<usize, u32>,
    /// The function that binders call, and the instance that shims import.
    bind: u32,
    native: u32,
}

type Written<T = ()> = Result<T, Error<Infallible>>;

impl Rewriter {
    /// Writes what shims and binders are given.
    fn begin(&mut self, component: &mut Component) {
        let mut interface = InstanceType::new();
        let u32 = ComponentValType::Primitive(PrimitiveValType::U32);
        interface.ty().defined_type().list(PrimitiveValType::U8);
        let list = ComponentValType::Type(0);
        interface.ty().function().params([("module", u32)]).result(None);
        interface.ty().function().params([("memory", u32), ("start", list)]).result(None);
        let names = ["make", "bind"];
        for (ty, name) in (1..).zip(names) {
            interface.export(name, ComponentTypeRef::Func(ty));
        }
        let mut types = ComponentTypeSection::new();
        types.instance(&interface);
        let mut imports = ComponentImportSection::new();
        imports.import(INTERFACE, ComponentTypeRef::Instance(self.types.add()));
        let mut aliases = ComponentAliasSection::new();
        let instance = self.instances.add();
        let [make, bind] = names.map(|name| {
            aliases.alias(Alias::InstanceExport { instance, kind: ComponentExportKind::Func, name });
            self.functions.add()
        });
        self.bind = bind;
        let mut canonical = CanonicalFunctionSection::new();
        canonical.lower(make, []);
        let make = self.core_functions.add();
        let mut instances = InstanceSection::new();
        instances.export_items([("make", ExportKind::Func, make)]);
        self.native = self.core_instances.add();
        component.section(&types).section(&imports).section(&aliases).section(&canonical).section(&instances);

        let counts = self.shims.as_slice().iter().flatten().map(|shim| shim.memories);
        for memories in counts.collect::<std::collections::BTreeSet<_>>() {
            write_module(component, &binder(memories));
            self.binders.insert(memories, self.core_modules.add());
        }
    }

    /// Writes what binds the instance of a shim.
    fn bind(&mut self, component: &mut Component, instance: u32, memories: usize) {
        let mut aliases = ComponentAliasSection::new();
        let mut canonical = CanonicalFunctionSection::new();
        let names: Vec<String> = (0..memories).map(memory_name).chain([EXCHANGE.to_owned()]).collect();
        let mut given = Vec::new();
        for name in &names {
            aliases.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Memory, name });
            canonical.lower(self.bind, [CanonicalOption::Memory(self.core_memories.add())]);
            given.push((name.as_str(), ExportKind::Func));
        }
        aliases.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Func, name: INITIALIZE });
        let initialize = (INITIALIZE, ExportKind::Func, self.core_functions.add());
        let given: Vec<_> = given
            .into_iter()
            .map(|(name, kind)| (name, kind, self.core_functions.add()))
            .chain([initialize])
            .collect();
        let mut instances = InstanceSection::new();
        instances.export_items(given);
        let given = self.core_instances.add();
        instances.instantiate(self.binders[&memories], [("", ModuleArg::Instance(given))]);
        self.core_instances.add();
        component.section(&aliases).section(&canonical).section(&instances);
    }

    /// What an import, alias or export defines gets its number.
    fn keep(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Func => self.functions.keep(),
            ComponentExternalKind::Type => self.types.keep(),
            ComponentExternalKind::Instance => self.instances.keep(),
            ComponentExternalKind::Module => self.keep_module(None),
            ComponentExternalKind::Component | ComponentExternalKind::Value => {}
        }
    }

    fn keep_module(&mut self, memories: Option<usize>) {
        self.core_modules.keep();
        self.memories.push(memories);
    }

    fn keep_alias(&mut self, alias: &ComponentAlias<'_>) {
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => self.keep(*kind),
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func | ExternalKind::FuncExact, ..
            } => {
                self.core_functions.keep();
            }
            ComponentAlias::CoreInstanceExport { kind: ExternalKind::Memory, .. } => {
                self.core_memories.keep()
            }
            ComponentAlias::CoreInstanceExport { .. } => {}
            // There is nothing outside.
            ComponentAlias::Outer { .. } => {}
        }
    }

    /// A function that cancels, of the type that has moved: this version of the encoder leaves the type where it was.
    fn cancelled(&mut self, function: CanonicalFunction) -> CanonicalFunction {
        use CanonicalFunction as F;
        match function {
            F::StreamCancelRead { ty, async_ } => {
                F::StreamCancelRead { ty: self.component_type_index(ty), async_ }
            }
            F::StreamCancelWrite { ty, async_ } => {
                F::StreamCancelWrite { ty: self.component_type_index(ty), async_ }
            }
            F::FutureCancelRead { ty, async_ } => {
                F::FutureCancelRead { ty: self.component_type_index(ty), async_ }
            }
            F::FutureCancelWrite { ty, async_ } => {
                F::FutureCancelWrite { ty: self.component_type_index(ty), async_ }
            }
            other => other,
        }
    }

    fn module(&mut self, component: &mut Component, module: &[u8]) {
        match self.shims.next().flatten() {
            Some(shim) => {
                write_module(component, &shim.wasm);
                self.keep_module(Some(shim.memories));
            }
            None => {
                write_module(component, module);
                self.keep_module(None);
            }
        }
    }

    /// Writes instances of modules, each shim's with what binds it.
    fn core_instances(
        &mut self,
        component: &mut Component,
        section: wasmparser::InstanceSectionReader<'_>,
    ) -> Written {
        for instance in section {
            let instance = instance.map_err(Error::ParseError)?;
            let mut instances = InstanceSection::new();
            let memories = match &instance {
                Instance::Instantiate { module_index, .. } => {
                    self.memories.get(*module_index as usize).copied().flatten()
                }
                Instance::FromExports(_) => None,
            };
            match (&instance, memories) {
                (Instance::Instantiate { module_index, args }, Some(_)) => {
                    let args = args
                        .iter()
                        .map(|arg| (arg.name, ModuleArg::Instance(self.core_instances.get(arg.index))));
                    let args = args.chain([(MODULE, ModuleArg::Instance(self.native))]);
                    instances.instantiate(self.core_modules.get(*module_index), args.collect::<Vec<_>>());
                }
                _ => self.parse_instance(&mut instances, instance)?,
            }
            component.section(&instances);
            self.core_instances.keep();
            if let Some(memories) = memories {
                let shim = self.core_instances.next - 1;
                self.bind(component, shim, memories);
            }
        }
        Ok(())
    }
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Written<u32> {
        Ok(if self.depth == 0 { self.core_functions.get(function) } else { function })
    }

    fn memory_index(&mut self, memory: u32) -> Written<u32> {
        Ok(if self.depth == 0 { self.core_memories.get(memory) } else { memory })
    }
}

impl ReencodeComponent for Rewriter {
    fn component_type_index(&mut self, ty: u32) -> u32 {
        if self.depth == 0 { self.types.get(ty) } else { ty }
    }

    fn component_instance_index(&mut self, instance: u32) -> u32 {
        if self.depth == 0 { self.instances.get(instance) } else { instance }
    }

    fn component_func_index(&mut self, function: u32) -> u32 {
        if self.depth == 0 { self.functions.get(function) } else { function }
    }

    fn module_index(&mut self, module: u32) -> u32 {
        if self.depth == 0 { self.core_modules.get(module) } else { module }
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        if self.depth == 0 { self.core_instances.get(instance) } else { instance }
    }

    fn outer_type_index(&mut self, _: u32, ty: u32) -> Written<u32> {
        Ok(ty)
    }

    fn outer_component_type_index(&mut self, count: u32, ty: u32) -> u32 {
        if count == self.depth { self.types.get(ty) } else { ty }
    }

    fn outer_component_index(&mut self, _: u32, component: u32) -> u32 {
        component
    }

    fn outer_module_index(&mut self, count: u32, module: u32) -> u32 {
        if count == self.depth { self.core_modules.get(module) } else { module }
    }

    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn parse_component_payload(
        &mut self,
        component: &mut Component,
        payload: Payload<'_>,
        whole: &[u8],
    ) -> Written {
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                let module = whole.get(unchecked_range).unwrap_or_default();
                match self.depth {
                    0 => self.module(component, module),
                    _ => write_module(component, module),
                }
                Ok(())
            }
            Payload::InstanceSection(section) if self.depth == 0 => self.core_instances(component, section),
            // What it calls things by number has other numbers now.
            Payload::CustomSection(section) if section.name() == "component-name" => Ok(()),
            payload => component_utils::parse_component_payload(self, component, payload, whole),
        }
    }

    fn parse_component_type_section(
        &mut self,
        types: &mut ComponentTypeSection,
        section: wasmparser::ComponentTypeSectionReader<'_>,
    ) -> Written {
        for ty in section {
            self.parse_component_type(types.ty(), ty.map_err(Error::ParseError)?)?;
            if self.depth == 0 {
                self.types.keep();
            }
        }
        Ok(())
    }

    fn parse_component_import_section(
        &mut self,
        imports: &mut ComponentImportSection,
        section: wasmparser::ComponentImportSectionReader<'_>,
    ) -> Written {
        for import in section {
            let import = import.map_err(Error::ParseError)?;
            imports.import(import.name, self.component_type_ref(import.ty)?);
            if self.depth == 0 {
                self.keep(import.ty.kind());
            }
        }
        Ok(())
    }

    fn parse_component_canonical(
        &mut self,
        canonical: &mut CanonicalFunctionSection,
        function: CanonicalFunction,
    ) -> Written {
        let is_lifted = matches!(function, CanonicalFunction::Lift { .. });
        let function = self.cancelled(function);
        component_utils::parse_component_canonical(self, canonical, function)?;
        match (self.depth, is_lifted) {
            (0, true) => self.functions.keep(),
            (0, false) => self.core_functions.keep(),
            _ => {}
        }
        Ok(())
    }

    fn parse_component_alias_section(
        &mut self,
        aliases: &mut ComponentAliasSection,
        section: wasmparser::ComponentAliasSectionReader<'_>,
    ) -> Written {
        for alias in section {
            let alias = alias.map_err(Error::ParseError)?;
            aliases.alias(self.component_alias(alias.clone())?);
            if self.depth == 0 {
                self.keep_alias(&alias);
            }
        }
        Ok(())
    }

    fn parse_component_instance(
        &mut self,
        instances: &mut wasm_encoder::ComponentInstanceSection,
        instance: wasmparser::ComponentInstance<'_>,
    ) -> Written {
        component_utils::parse_component_instance(self, instances, instance)?;
        if self.depth == 0 {
            self.instances.keep();
        }
        Ok(())
    }

    fn parse_component_export(
        &mut self,
        exports: &mut wasm_encoder::ComponentExportSection,
        export: wasmparser::ComponentExport<'_>,
    ) -> Written {
        let kind = export.kind;
        component_utils::parse_component_export(self, exports, export)?;
        if self.depth == 0 {
            self.keep(kind);
        }
        Ok(())
    }
}

fn write_module(component: &mut Component, module: &[u8]) {
    component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
}

/// Passes an empty list at the start of each of so many memories, then of the one for arguments, and initializes.
fn binder(memories: usize) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32, ValType::I32], []);
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    for index in 0..memories {
        imports.import("", &memory_name(index), EntityType::Function(0));
    }
    imports.import("", EXCHANGE, EntityType::Function(0)).import("", INITIALIZE, EntityType::Function(1));
    let mut start = Function::new([]);
    let mut code = start.instructions();
    for index in 0..memories as u32 {
        code.i32_const(index as i32).i32_const(0).i32_const(0).call(index);
    }
    let exchange = memories as u32;
    code.i32_const(LAST as i32).i32_const(0).i32_const(0).call(exchange).call(exchange + 1).end();
    let (mut functions, mut bodies) = (FunctionSection::new(), CodeSection::new());
    functions.function(1);
    bodies.function(&start);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&StartSection { function_index: exchange + 2 }).section(&bodies);
    module.finish()
}
