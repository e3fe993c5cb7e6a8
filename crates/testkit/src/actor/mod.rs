//! To test an actor of one's own: supervised as in production, on virtual time, with probes for its neighbours.
//!
//! A test runs in a [`Kit`]: one thread, a clock that moves only when nothing else can run, a seed. At its end the kit
//! looks by itself whether every message has been accounted for.
//!
//! ```
//! use std::time::Duration;
//!
//! use dataflow_runtime::actor::{Behaviour, Fault, Handle, Reply, When};
//! use dataflow_testkit::actor::Kit;
//!
//! /// What the lamp is told.
//! #[derive(Debug, Clone)]
//! enum Lamp {
//!     Switch { is_on: bool },
//! }
//! dataflow_runtime::message_kinds!(Lamp { Switch });
//!
//! /// What the sensor is told: our own actor, that we test.
//! #[derive(Debug)]
//! enum Sensor {
//!     Dark { is_dark: bool },
//!     IsDark(Reply<bool>),
//! }
//! dataflow_runtime::message_kinds!(Sensor { Dark, IsDark });
//!
//! struct DuskSensor {
//!     lamp: Handle<Lamp>,
//!     is_dark: bool,
//! }
//!
//! impl Behaviour for DuskSensor {
//!     type Message = Sensor;
//!
//!     fn handle(&mut self, message: &Sensor) {
//!         match message {
//!             Sensor::Dark { is_dark } => {
//!                 self.is_dark = *is_dark;
//!                 self.lamp.tell(Lamp::Switch { is_on: *is_dark }).ok();
//!             }
//!             Sensor::IsDark(reply) => reply.send(self.is_dark),
//!         }
//!     }
//! }
//!
//! Kit::run(7, async |kit| {
//!     let lamp = kit.probe("lamp", |_: &Lamp| {});
//!     let to_lamp = lamp.handle();
//!     let sensor = kit.supervise("sensor", 16, move |_| DuskSensor {
//!         lamp: to_lamp.clone(),
//!         is_dark: false,
//!     });
//!
//!     // It panics over the first message, once; its next incarnation handles it.
//!     sensor.inject(When::kind("Dark"), Fault::PanicBefore);
//!     sensor.tell(Sensor::Dark { is_dark: true }).unwrap();
//!     assert!(matches!(lamp.next().await, Lamp::Switch { is_on: true }));
//!     assert!(sensor.ask(Sensor::IsDark).await.unwrap());
//!
//!     kit.advance(Duration::from_secs(60)).await;
//!     assert!(lamp.take().is_empty(), "nothing more was said");
//! });
//! ```

mod expectations;
mod kit;
mod probe;
mod trace;

#[cfg(test)]
mod tests;

pub use kit::Kit;
pub use probe::Probe;
