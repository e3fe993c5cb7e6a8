//! What an actor may be told: messages of one type, each of a kind that has a name.

/// Everything that one actor may be told: an enum, whose variants are its kinds.
///
/// [`message_kinds!`](crate::message_kinds) implements it. Its list cannot fall behind the enum: a variant that is
/// missing in it does not compile.
pub trait Message: 'static {
    /// The names of all kinds, in the order of the enum.
    const KINDS: &'static [&'static str];

    /// The name of this message's kind.
    fn kind(&self) -> &'static str;
}

/// Implements [`Message`](crate::actor::Message) for an enum: names each of its variants once.
///
/// ```
/// use dataflow_runtime::actor::Message;
///
/// enum Lamp {
///     On { watts: u32 },
///     Off,
/// }
/// dataflow_runtime::message_kinds!(Lamp { On, Off });
///
/// assert_eq!(Lamp::KINDS, ["On", "Off"]);
/// assert_eq!(Lamp::On { watts: 5 }.kind(), "On");
/// assert_eq!(Lamp::Off.kind(), "Off");
/// ```
#[macro_export]
macro_rules! message_kinds {
    ($message:ident { $($kind:ident),+ $(,)? }) => {
        impl $crate::actor::Message for $message {
            const KINDS: &'static [&'static str] = &[$(stringify!($kind)),+];

            fn kind(&self) -> &'static str {
                match self {
                    $($message::$kind { .. } => stringify!($kind),)+
                }
            }
        }
    };
}
