//! Every part as a process of its own, as in production.

use crate::{Ended, PATIENT_MS, Place, Postgres, Process, Site, command, eventually};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::sync::Arc;

/// One of our programs, which keeps its addresses when it is started again.
#[derive(Debug)]
pub struct Service {
    place: Arc<Place>,
    name: String,
    program: &'static str,
    arguments: Vec<String>,
    listens: Vec<(&'static str, SocketAddr)>,
    process: Process,
}

impl Service {
    /// Starts `program` as `name`, each of its `listeners` (flags) on a free port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(
        place: &Arc<Place>,
        name: &str,
        program: &'static str,
        listeners: &[&'static str],
        arguments: &[&str],
    ) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut listens: Vec<_> = listeners.iter().map(|&flag| (flag, any_port)).collect();
        let mut process = spawn(place, name, program, &arguments, &listens);
        for ((_, listen), told) in listens.iter_mut().zip(process.listening(listeners.len()).await) {
            *listen = told;
        }
        Self { place: Arc::clone(place), name: name.to_owned(), program, arguments, listens, process }
    }

    /// The address of its first listener.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listens[0].1
    }

    /// The addresses of all its listeners.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.listens.iter().map(|(_, addr)| *addr).collect()
    }

    /// Its first listener, for HTTP.
    #[must_use]
    pub fn site(&self) -> Site {
        Site::new(format!("http://{}", self.addr()))
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Tells it to stop, and waits until it has ended.
    pub async fn stop(&mut self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.ended().await
    }

    /// Tells it to stop, and does not wait.
    pub fn tell_to_stop(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Starts it again on the same addresses.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.place, &self.name, self.program, &self.arguments, &self.listens);
        self.process.listening(self.listens.len()).await;
    }

    /// Freezes it: its connections stay open and nothing answers.
    pub async fn freeze(&self) {
        self.process.freeze().await;
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// The most memory that it has had in RAM, in bytes.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.process.peak_memory_bytes()
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        let site = self.site();
        eventually(&format!("{} is ready", self.name), async || site.try_get("/readyz").await?.wanted(200))
            .await;
    }
}

fn spawn(
    place: &Place,
    name: &str,
    program: &str,
    arguments: &[String],
    listens: &[(&str, SocketAddr)],
) -> Process {
    let mut command = command(program);
    command.args(arguments);
    for (flag, addr) in listens {
        command.args([*flag, &addr.to_string()]);
    }
    Process::start(place, name, &mut command)
}

/// The whole system as separate processes: one event store, PostgreSQL, two command APIs, a projector with another one
/// standing by, and a query API.
#[derive(Debug)]
pub struct Topology {
    /// The directory of the test.
    pub place: Arc<Place>,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// The event store.
    pub event_store: Service,
    /// The projectors; the first one is active, until something happens to it.
    pub projectors: [Service; 2],
    /// The command APIs.
    pub command_apis: [Service; 2],
    /// The query API.
    pub query_api: Service,
}

impl Topology {
    /// Starts everything and waits until it is ready. Commands wait for the store as long as they may, so that a busy
    /// machine fails no test.
    pub async fn start() -> Self {
        Self::start_with(&["--store-timeout-ms", PATIENT_MS]).await
    }

    /// The same with the deadline that programs have, to see what becomes of commands without a store.
    pub async fn hurried() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(of_commands: &[&str]) -> Self {
        let place = Arc::new(Place::new());
        let postgres = Postgres::start(&place).await;
        let data = place.path().join("events").display().to_string();
        let event_store =
            Service::start(&place, "event-store", "event-store-server", &["--listen"], &["--data", &data])
                .await;
        let store = ["--event-store-url", &format!("esdb://{}?tls=false", event_store.addr())];
        let database = ["--database-url", &postgres.url()];
        let both = [store, database].concat();
        let projector = async |name| Service::start(&place, name, "projector", &["--listen"], &both).await;
        let active = projector("projector-1").await;
        active.ready().await;
        let projectors = [active, projector("projector-2").await];
        let of_commands = [&store[..], of_commands].concat();
        let command_api =
            async |name| Service::start(&place, name, "command-api", &["--listen"], &of_commands).await;
        let command_apis = [command_api("command-api-1").await, command_api("command-api-2").await];
        let query_listeners = ["--listen", "--admin-listen"];
        let of_queries = [&database[..], &["--page"]].concat();
        let query_api = Service::start(&place, "query-api", "query-api", &query_listeners, &of_queries).await;
        for service in projectors.iter().chain(&command_apis).chain([&query_api]) {
            service.ready().await;
        }
        Self { postgres, event_store, projectors, command_apis, query_api, place }
    }

    /// The event store's connection string.
    #[must_use]
    pub fn store_url(&self) -> String {
        format!("esdb://{}?tls=false", self.event_store.addr())
    }

    /// The addresses for commands.
    #[must_use]
    pub fn desks(&self) -> Vec<Site> {
        self.command_apis.iter().map(Service::site).collect()
    }

    /// The address for queries.
    #[must_use]
    pub fn queries(&self) -> Site {
        self.query_api.site()
    }
}
