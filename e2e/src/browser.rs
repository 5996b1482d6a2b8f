//! A real browser, and short words for what a librarian does with it and sees in it.

use crate::{Place, Process, Site, eventually};
use serde_json::{Value, json};
use std::fs;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::Command;
use thirtyfour::{ChromiumLikeCapabilities as _, DesiredCapabilities, Key, TypingData, WebDriver};

/// What is kept of everything that goes wrong inside the page: no test of the page passes with any of it.
const LISTEN_FOR_FAULTS: &str = "
    window.faults = [];
    addEventListener('error', (event) => faults.push(`error: ${event.message}`));
    addEventListener('unhandledrejection', (event) => faults.push(`rejection: ${event.reason?.stack ?? event.reason}`));
    addEventListener('securitypolicyviolation', (event) => faults.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    window.alert = (text) => faults.push(`alert: ${text}`);";

/// Chromium, driven by chromedriver, with a profile of its own in the [`Place`] of a test.
#[derive(Debug)]
pub struct Browser {
    driver: ManuallyDrop<WebDriver>,
    _process: Process,
}

/// A driver that listens, and its port. It takes a free port of IPv4 and then the same of IPv6, which somebody else may have
/// taken: then it ends, and another one is started.
async fn driver(place: &Place) -> (Process, u16) {
    let mut said = String::new();
    for _ in 0..5 {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("TMPDIR", place.path());
        assert!(
            command.get_program().to_str().is_some_and(is_installed),
            "these tests need a browser: apt-get install chromium chromium-driver (bin/test does)"
        );
        let mut process = Process::start(place, "chromedriver", &mut command);
        let port = eventually("chromedriver says its port", async || {
            let running = process.is_running();
            said = process.said();
            let port =
                said.rsplit_once("successfully on port ").and_then(|(_, rest)| rest.trim().split('.').next());
            match port.and_then(|port| port.parse::<u16>().ok()) {
                None if running => Err(said.clone()),
                port => Ok(port),
            }
        })
        .await;
        if let Some(port) = port {
            return (process, port);
        }
    }
    panic!("chromedriver ends at its start: {said}");
}

impl Browser {
    /// A browser whose user reads `language`, such as `ko` or `en`, with a window of 1280 × 800.
    ///
    /// # Panics
    /// When there is none; the message says what to install.
    pub async fn start(place: &Place, language: &str) -> Self {
        let (process, port) = driver(place).await;
        let mut chromium = DesiredCapabilities::chrome();
        for argument in arguments(place, language) {
            chromium.add_arg(&argument).unwrap();
        }
        chromium.add_experimental_option("prefs", json!({"intl.accept_languages": language})).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), chromium).await.unwrap();
        // Dropped, it would say goodbye over connections that the very thread it blocks has to move. The browser goes with
        // the place.
        let browser = Self { driver: ManuallyDrop::new(driver), _process: process };
        browser.first_runs(LISTEN_FOR_FAULTS).await;
        browser.window(1280, 800, false).await;
        browser
    }

    /// Opens the page of `site` at `view`, such as `#/books/7`.
    ///
    /// # Panics
    /// When it does not load.
    pub async fn open(&self, site: &Site, view: &str) {
        self.driver.goto(site.url(&format!("/{view}"))).await.unwrap();
    }

    /// Runs JavaScript at the beginning of each page that is opened from now on, before any of its own.
    pub async fn first_runs(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": script})).await;
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// When it does not load.
    pub async fn reload(&self) {
        self.driver.refresh().await.unwrap();
    }

    /// The button of the browser that leads back.
    ///
    /// # Panics
    /// When there is no browser any more.
    pub async fn back(&self) {
        self.driver.back().await.unwrap();
    }

    /// The value of a JavaScript expression in the page; `args` is what `arguments` is in it.
    ///
    /// # Panics
    /// When it throws.
    pub async fn value(&self, expression: &str, args: Vec<Value>) -> Value {
        self.try_value(expression, args).await.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn try_value(&self, expression: &str, args: Vec<Value>) -> Result<Value, String> {
        let ran = self.driver.execute(format!("return ({expression});"), args).await;
        ran.map(|ran| ran.json().clone()).map_err(|error| error.to_string())
    }

    /// Runs JavaScript that does what a user cannot be made to do here, such as losing an answer.
    ///
    /// # Panics
    /// When it throws.
    pub async fn run(&self, script: &str, args: Vec<Value>) {
        self.driver.execute(script, args).await.unwrap_or_else(|error| panic!("{script}: {error}"));
    }

    /// Waits until the JavaScript expression holds.
    pub async fn holds(&self, expression: &str) {
        eventually(expression, async || match self.try_value(expression, Vec::new()).await? {
            Value::Bool(true) => Ok(()),
            other => Err(format!("{other}; the page shows {:?}", self.text("body").await)),
        })
        .await;
    }

    /// Waits until the rows in sight are these books in this order, such as `2,3,1`.
    pub async fn lists(&self, books: &str) {
        let rows = "[...document.querySelectorAll('.row:not([hidden])')].sort((a, b) => a.dataset.index - b.dataset.index)";
        self.holds(&format!("{rows}.map((row) => row.dataset.book).join() === '{books}'")).await;
    }

    /// Waits until an element of this CSS selector is seen whose text contains `text`.
    pub async fn sees(&self, css: &str, text: &str) {
        let look = "[...document.querySelectorAll(arguments[0])].some((each) => each.checkVisibility() && each.innerText.includes(arguments[1]))";
        eventually(&format!("{css} shows {text:?}"), async || {
            match self.try_value(look, vec![json!(css), json!(text)]).await? {
                Value::Bool(true) => Ok(()),
                _ => Err(format!("the page shows {:?}", self.text("body").await)),
            }
        })
        .await;
    }

    /// Waits until no element of this CSS selector is seen.
    pub async fn misses(&self, css: &str) {
        let look = "[...document.querySelectorAll(arguments[0])].some((each) => each.checkVisibility())";
        eventually(&format!("{css} is gone"), async || {
            match self.try_value(look, vec![json!(css)]).await? {
                Value::Bool(false) => Ok(()),
                _ => Err(self.text(css).await),
            }
        })
        .await;
    }

    /// The text of the first element of this CSS selector, as it is seen.
    pub async fn text(&self, css: &str) -> String {
        let text =
            self.try_value("document.querySelector(arguments[0])?.innerText ?? ''", vec![json!(css)]).await;
        text.map_or_else(|error| error, |text| text.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the first element of this CSS selector that can be clicked.
    pub async fn click(&self, css: &str) {
        eventually(&format!("{css} can be clicked"), async || {
            for found in
                self.driver.find_all(thirtyfour::By::Css(css)).await.map_err(|error| error.to_string())?
            {
                if found.is_displayed().await.unwrap_or(false) {
                    return found.click().await.map_err(|error| error.to_string());
                }
            }
            Err("nothing is there".to_owned())
        })
        .await;
    }

    /// Types into the field of this CSS selector, instead of what is in it.
    pub async fn fill(&self, css: &str, text: &str) {
        eventually(&format!("{css} can be filled"), async || {
            let field =
                self.driver.find(thirtyfour::By::Css(css)).await.map_err(|error| error.to_string())?;
            field.clear().await.map_err(|error| error.to_string())?;
            field.send_keys(text).await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Gives a file to the file field of this CSS selector.
    ///
    /// # Panics
    /// When there is no such field.
    pub async fn choose_file(&self, css: &str, file: &Path) {
        let field = self.driver.find(thirtyfour::By::Css(css)).await.unwrap();
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    /// Drops a file with this content on the page, as from a window of the system.
    pub async fn drop_file(&self, name: &str, content: &[u8]) {
        let script = "const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(arguments[1])], arguments[0], { type: 'text/csv' }));
            for (const type of ['dragenter', 'dragover', 'drop']) {
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
            }";
        self.run(script, vec![json!(name), json!(content)]).await;
    }

    /// Presses keys where the focus is.
    ///
    /// # Panics
    /// When there is no browser any more.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses one key where the focus is.
    pub async fn press_key(&self, key: Key) {
        self.press(key).await;
    }

    /// Rolls what is in the middle of the window by so many pixels, as a wheel does, and waits until it is there.
    pub async fn roll(&self, pixels: i64, pixels_per_second: u64) {
        let gesture = json!({"x": 640, "y": 400, "yDistance": -pixels, "speed": pixels_per_second, "gestureSourceType": "mouse"});
        self.devtools("Input.synthesizeScrollGesture", gesture).await;
    }

    /// How often the page was laid out so far.
    ///
    /// # Panics
    /// When the browser does not tell.
    pub async fn layouts(&self) -> f64 {
        self.devtools("Performance.enable", json!({})).await;
        let told = self.devtools("Performance.getMetrics", json!({})).await;
        let mut metrics = told["metrics"].as_array().unwrap().iter();
        metrics.find(|metric| metric["name"] == "LayoutCount").unwrap()["value"].as_f64().unwrap()
    }

    /// What who does not see the page hears of everything that can be used there: its role and its name.
    ///
    /// # Panics
    /// When the browser does not tell.
    pub async fn hears(&self) -> Vec<(String, String)> {
        let tree = self.devtools("Accessibility.getFullAXTree", json!({})).await;
        let text = |of: &Value| of["value"].as_str().unwrap_or_default().to_owned();
        let is_used = |node: &&Value| {
            let properties = node["properties"].as_array().into_iter().flatten();
            let mut focusable = properties.filter(|each| each["name"] == "focusable");
            node["ignored"] == false && focusable.any(|each| each["value"]["value"] == true)
        };
        let nodes = tree["nodes"].as_array().unwrap().iter().filter(is_used);
        nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }

    /// Makes the window so large; a phone's has fingers instead of a mouse.
    pub async fn window(&self, width: u32, height: u32, is_phone: bool) {
        let scale = if is_phone { 2 } else { 1 };
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// What the system of the user prefers, such as `prefers-color-scheme` `dark`.
    pub async fn prefers(&self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Keeps a picture of the page under `target/page/`, for people to look at.
    ///
    /// # Panics
    /// When it cannot be taken or written.
    pub async fn picture(&self, name: &str) {
        // What fades in is there; what changes for ever does not matter.
        self.holds("document.getAnimations().every((each) => each.playState === 'finished' || each.effect.getTiming().iterations === Infinity)").await;
        let file = pictures().join(format!("{name}.png"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, self.driver.screenshot_as_png().await.unwrap()).unwrap();
    }

    /// Wants that nothing went wrong inside the page: no error, nothing that its policy had to stop.
    ///
    /// # Panics
    /// When something did.
    pub async fn has_no_faults(&self) {
        assert_eq!(self.value("window.faults", Vec::new()).await, json!([]));
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.driver.cdp().send_raw(command, parameters).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }
}

fn arguments(place: &Place, language: &str) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--lang={language}"));
    arguments.push(format!("--user-data-dir={}", place.log("chromium", "profile").display()));
    if rustix::process::geteuid().is_root() {
        // Chromium's own sandbox refuses root; the page is ours.
        arguments.push("--no-sandbox".to_owned());
    }
    arguments
}

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
}

/// Where the pictures are: `page/` in the target directory.
fn pictures() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().join("page")
}
