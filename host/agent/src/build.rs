//! From checked components of a plan to instances: the one place that knows which room builds what.

use std::sync::Arc;

use flumen_config::plan::Component;
use flumen_core::channel::Channel;
use flumen_core::clock::Clock;
use flumen_core::interceptor::Interceptor;
use flumen_core::option::Catalogue;
use flumen_core::selector::ChannelSelector;
use flumen_core::settings::Settings;
use flumen_core::sink_processor::SinkProcessor;
use flumen_core::source::{Source, SourceInstance};
use flumen_core::{ComponentName, Fault};

use crate::sink::MakeSink;
use crate::source::{MakeSource, PolledDriver};

/// All component types that this agent knows, built or not.
pub fn catalogue() -> Catalogue {
    let components = flumen_builtin::rows().chain(flumen_channel::rows());
    Catalogue::new(components.chain(flumen_config::rows()))
}

pub(crate) fn channel(
    name: &ComponentName,
    component: &Component,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Channel>, Fault> {
    flumen_channel::build(component.row, name, &component.settings, Arc::clone(clock))
}

/// A maker of instances, which has made one already: wrong settings show here and not at the first
/// restart.
pub(crate) fn source_maker(component: &Component) -> Result<MakeSource, Fault> {
    let component = component.clone();
    let make = move || source(&component);
    make()?;
    Ok(Arc::new(make))
}

fn source(component: &Component) -> Result<Box<dyn Source>, Fault> {
    Ok(
        match flumen_builtin::sources::build(component.row, &component.settings)? {
            SourceInstance::EventDriven(source) => source,
            SourceInstance::Polled { source, back_off } => {
                Box::new(PolledDriver::new(source, back_off))
            }
        },
    )
}

/// A maker of instances, which has made one already.
pub(crate) fn sink_maker(component: &Component) -> Result<MakeSink, Fault> {
    let component = component.clone();
    let make = move || flumen_builtin::sinks::build(component.row, &component.settings);
    make()?;
    Ok(Arc::new(make))
}

pub(crate) fn interceptor(
    component: &Component,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Interceptor>, Fault> {
    flumen_builtin::interceptors::build(component.row, &component.settings, clock).map(Arc::from)
}

pub(crate) fn selector(
    component: &Component,
    channels: &[ComponentName],
) -> Result<Box<dyn ChannelSelector>, Fault> {
    flumen_builtin::selectors::build(component.row, &component.settings, channels)
}

pub(crate) fn sink_processor(
    component: Option<&Component>,
    sinks: &[ComponentName],
) -> Result<Box<dyn SinkProcessor>, Fault> {
    match component {
        Some(component) => {
            flumen_builtin::sink_processors::build(component.row, &component.settings, sinks)
        }
        // A sink without a group is served by the default processor.
        None => flumen_builtin::sink_processors::build(
            &flumen_builtin::sink_processors::default::ROW,
            &Settings::new(),
            sinks,
        ),
    }
}
