//! The bell that a write rings, so that the background looks at once and does not wait for its next round.

use tokio::sync::watch;

/// Rung by whoever wrote, heard by whoever works in the background of this process.
#[derive(Clone, Debug)]
pub struct Bell(watch::Sender<()>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Bell {
    /// Something was written.
    pub fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears every ring from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
