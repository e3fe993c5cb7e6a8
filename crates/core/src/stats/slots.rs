//! What is kept alone or shared: what nobody shares is changed where it is, and that nobody does is known without a look at
//! who else might. A count of all who share it, as `Arc` keeps, would be read and written at each change, in memory of its
//! own, which costs more than most changes.

use std::mem;
use std::sync::Arc;

/// Nothing, or something that is kept alone or shared.
#[derive(Debug, Default)]
#[expect(
    clippy::redundant_allocation,
    reason = "what comes to be shared stays where it is, and so does what comes to be kept alone"
)]
pub(super) enum Slot<T> {
    /// Nothing.
    #[default]
    Empty,
    /// Nobody else has it.
    Alone(Box<T>),
    /// Others may have it: it is copied before it is changed.
    Shared(Arc<Box<T>>),
}

/// What is shared stays shared; what is kept alone is copied.
impl<T: Clone> Clone for Slot<T> {
    fn clone(&self) -> Self {
        match self {
            Slot::Empty => Slot::Empty,
            Slot::Alone(alone) => Slot::Alone(alone.clone()),
            Slot::Shared(shared) => Slot::Shared(Arc::clone(shared)),
        }
    }
}

/// What can be made such that a clone of it shares what is in it.
pub(super) trait Share {
    /// Lets others share it. It costs as much as there is that nobody shares yet.
    fn share(&mut self);
}

impl<T> Slot<T> {
    /// What is there.
    pub(super) fn get(&self) -> Option<&T> {
        match self {
            Slot::Empty => None,
            Slot::Alone(alone) => Some(alone),
            Slot::Shared(shared) => Some(shared),
        }
    }

    /// Whether both share the same thing, or nothing is there in either.
    pub(super) fn is_shared_with(&self, other: &Slot<T>) -> bool {
        match (self, other) {
            (Slot::Empty, Slot::Empty) => true,
            (Slot::Shared(one), Slot::Shared(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl<T: Clone> Slot<T> {
    /// What is there, to be changed.
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        if let Slot::Shared(_) = self {
            self.keep_alone();
        }
        match self {
            Slot::Alone(alone) => Some(alone),
            _ => None,
        }
    }

    /// What is there, to be changed: what `new` gives, if nothing was.
    pub(super) fn fill(&mut self, new: impl FnOnce() -> T) -> Option<&mut T> {
        if let Slot::Empty = self {
            *self = Slot::Alone(Box::new(new()));
        }
        self.get_mut()
    }

    #[cold]
    fn keep_alone(&mut self) {
        if let Slot::Shared(shared) = mem::take(self) {
            // Without others it stays where it is.
            let alone = Arc::try_unwrap(shared).unwrap_or_else(|shared| Box::clone(&shared));
            *self = Slot::Alone(alone);
        }
    }
}

impl<T: Share> Share for Slot<T> {
    fn share(&mut self) {
        // What others share has nothing in it that they do not.
        if let Slot::Alone(_) = self
            && let Slot::Alone(mut alone) = mem::take(self)
        {
            alone.share();
            *self = Slot::Shared(Arc::new(alone));
        }
    }
}

impl<T: Share> Share for Option<T> {
    fn share(&mut self) {
        if let Some(there) = self {
            there.share();
        }
    }
}

impl<T: Share, const N: usize> Share for [T; N] {
    fn share(&mut self) {
        self.iter_mut().for_each(Share::share);
    }
}

impl<T: Share> Share for Vec<T> {
    fn share(&mut self) {
        self.iter_mut().for_each(Share::share);
    }
}

/// It is shared as it is.
impl<T> Share for Arc<T> {
    fn share(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shared as it is.
    impl Share for String {
        fn share(&mut self) {}
    }

    fn slot(text: &str) -> Slot<String> {
        Slot::Alone(Box::new(text.to_owned()))
    }

    #[test]
    fn what_somebody_shares_is_copied_before_it_is_changed() {
        let mut slot = slot("before");
        slot.share();
        let other = slot.clone();
        assert!(slot.is_shared_with(&other));
        slot.get_mut().unwrap().push_str(", and after");
        assert_eq!(slot.get().unwrap(), "before, and after");
        assert_eq!(other.get().unwrap(), "before");
        assert!(!slot.is_shared_with(&other));
    }

    #[test]
    fn what_nobody_shares_any_more_stays_where_it_is() {
        let mut slot = slot("here");
        let here = slot.get().map(std::ptr::from_ref);
        slot.share();
        drop(slot.clone());
        assert_eq!(slot.get_mut().map(|text| std::ptr::from_ref(text)), here);
        slot.share();
        assert_eq!(slot.get().map(std::ptr::from_ref), here);
    }

    #[test]
    fn a_clone_of_what_was_not_shared_is_a_copy() {
        let mut slot = slot("one");
        let other = slot.clone();
        slot.get_mut().unwrap().push_str(" and two");
        assert_eq!(other.get().unwrap(), "one");
        assert!(!slot.is_shared_with(&other));
    }

    #[test]
    fn nothing_is_shared_with_nothing() {
        let (mut nothing, other) = (Slot::<String>::Empty, Slot::Empty);
        assert!(nothing.is_shared_with(&other));
        assert_eq!(nothing.get_mut(), None);
        assert_eq!(
            nothing.fill(|| "something".to_owned()).unwrap(),
            "something"
        );
        assert!(!nothing.is_shared_with(&other));
    }
}
