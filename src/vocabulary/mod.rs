//! Types that events and decisions share: kinds, roles, streams, peaks, steps, ids and their limits.

mod ids;
mod media;
mod peaks;
mod stage;
mod stream;

pub use ids::MAX_ID_BYTES;
pub use media::{Action, Damage, Kind, Loudness, Reason, Role, SandboxStatus};
pub use peaks::Peaks;
pub use stage::Stage;
pub use stream::{Orientation, Stream, StreamDetail};
