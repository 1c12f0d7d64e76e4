//! The host's side of the interface: what every guest may call.

use std::time::Duration;

use wasmtime::component::Resource;

use crate::bindings::types::{Column, Error, HeaderColumn};
use crate::bindings::{logging, metrics, settings, state, timers, types};
use crate::columns::GuestBatch;
use crate::figures::{CounterHandle, GaugeHandle};
use crate::limits::STATE_KEY_BYTES_MAX;
use crate::log::GuestLog;
use crate::state::StateWrite;
use crate::store::GuestState;

impl types::Host for GuestState {}

impl types::HostBatch for GuestState {
    fn len(&mut self, batch: Resource<GuestBatch>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&batch)?.len())
    }

    fn bodies(&mut self, batch: Resource<GuestBatch>) -> wasmtime::Result<Column> {
        Ok(self.table.get(&batch)?.bodies()?)
    }

    fn header(
        &mut self,
        batch: Resource<GuestBatch>,
        name: String,
    ) -> wasmtime::Result<Option<HeaderColumn>> {
        Ok(self.table.get(&batch)?.header(&name)?)
    }

    fn header_names(&mut self, batch: Resource<GuestBatch>) -> wasmtime::Result<Vec<String>> {
        Ok(self.table.get(&batch)?.header_names())
    }

    fn headers(&mut self, batch: Resource<GuestBatch>) -> wasmtime::Result<Vec<HeaderColumn>> {
        Ok(self.table.get(&batch)?.headers()?)
    }

    fn body(&mut self, batch: Resource<GuestBatch>, row: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.table.get(&batch)?.body(row))
    }

    /// Never called: guests only borrow batches.
    fn drop(&mut self, batch: Resource<GuestBatch>) -> wasmtime::Result<()> {
        self.table.delete(batch)?;
        Ok(())
    }
}

impl logging::Host for GuestState {
    fn enabled(&mut self, level: logging::Level) -> wasmtime::Result<bool> {
        Ok(GuestLog::is_enabled(level))
    }

    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        self.parts.log.line(level, &message);
        Ok(())
    }
}

impl metrics::Host for GuestState {}

impl metrics::HostCounter for GuestState {
    fn new(&mut self, name: String) -> wasmtime::Result<Resource<CounterHandle>> {
        let counter = self.parts.figures.counter(name, self.parts.digest);
        Ok(self.table.push(counter)?)
    }

    fn add(&mut self, counter: Resource<CounterHandle>, count: u64) -> wasmtime::Result<()> {
        self.table.get(&counter)?.add(count);
        Ok(())
    }

    fn drop(&mut self, counter: Resource<CounterHandle>) -> wasmtime::Result<()> {
        self.table.delete(counter)?;
        Ok(())
    }
}

impl metrics::HostGauge for GuestState {
    fn new(&mut self, name: String) -> wasmtime::Result<Resource<GaugeHandle>> {
        let gauge = self.parts.figures.gauge(name, self.parts.digest);
        Ok(self.table.push(gauge)?)
    }

    fn set(&mut self, gauge: Resource<GaugeHandle>, value: f64) -> wasmtime::Result<()> {
        self.table.get(&gauge)?.set(value);
        Ok(())
    }

    fn drop(&mut self, gauge: Resource<GaugeHandle>) -> wasmtime::Result<()> {
        self.table.delete(gauge)?;
        Ok(())
    }
}

impl settings::Host for GuestState {
    fn all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let all = self.parts.settings.iter();
        Ok(all
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect())
    }

    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.parts.settings.get(&name).cloned())
    }
}

impl state::Host for GuestState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        if let Some(staged) = self.staged.get(&key) {
            return Ok(Ok(staged.cloned()));
        }
        let stored = self.parts.states.get(&self.parts.name, &key);
        Ok(stored.map_err(|fault| Error::Transient((fault.to_string(), None))))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.stage(key, Some(value)))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.stage(key, None))
    }
}

impl GuestState {
    fn stage(&mut self, key: String, value: Option<Vec<u8>>) -> Result<(), Error> {
        if key.len() > STATE_KEY_BYTES_MAX {
            return Err(Error::Broken(format!(
                "a key of the state is longer than {STATE_KEY_BYTES_MAX} bytes"
            )));
        }
        let limit = self.parts.limits.state_bytes;
        let write = StateWrite { key, value };
        let staged = self
            .staged
            .write(&*self.parts.states, &self.parts.name, write, limit);
        match staged {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Configuration(format!(
                "the state would be larger than limits.state_bytes = {limit}"
            ))),
            Err(fault) => Err(Error::Transient((fault.to_string(), None))),
        }
    }
}

impl timers::Host for GuestState {
    async fn sleep_ms(&mut self, duration_ms: u32) -> wasmtime::Result<bool> {
        let duration = Duration::from_millis(u64::from(duration_ms));
        Ok(self.stopping.sleep(duration).await)
    }

    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.parts.clock.now_ms()).unwrap_or(0))
    }

    fn stopping(&mut self) -> wasmtime::Result<bool> {
        Ok(self.stopping.is_set())
    }
}
