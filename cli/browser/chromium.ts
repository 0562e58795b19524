/**
 * Chromium and what is built from it, set to use the proxy and nothing else. An option or a preference that a version does
 * not know does nothing there.
 * @module
 */
import { joinHostPort } from '../../lib/net/address.ts';
import { type Browser, type LaunchPlan, pagesOf } from './browser.ts';

/** No request is made to it: Chromium refuses the port before that. */
const NOWHERE = 'https://127.0.0.1:1/';

/** Parts that open connections on their own. */
const FEATURES_OFF = [
  'AsyncDns',
  'AutofillServerCommunication',
  'CastMediaRouteProvider',
  'DialMediaRouteProvider',
  'Glic',
  'GlobalMediaControls',
  'InterestFeedContentSuggestions',
  'LensOverlay',
  'MediaRouter',
  'NetworkTimeServiceQuerying',
  'OptimizationGuideModelDownloading',
  'OptimizationHints',
  'OptimizationHintsFetching',
  'PreconnectToSearch',
  'SegmentationPlatform',
  'Translate',
  // Announces names of WebRTC by multicast. The addresses that it hides are not given out at all: see below.
  'WebRtcHideLocalIpsWithMdns',
];

const FLAGS = [
  // The proxy for loopback too: a page must not reach what listens on this machine.
  '--proxy-bypass-list=<-loopback>',
  // SOCKS5 leaves names to the proxy; this stops whatever else would look one up.
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
  '--disable-quic',
  // No UDP that the proxy does not carry, which is all of it. The option was renamed.
  '--webrtc-ip-handling-policy=disable_non_proxied_udp',
  '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
  `--disable-features=${FEATURES_OFF.join(',')}`,
  '--media-router=0',
  '--dns-prefetch-disable',
  '--no-pings',
  '--disable-background-networking',
  '--disable-background-mode',
  '--disable-breakpad',
  '--disable-client-side-phishing-detection',
  '--disable-component-extensions-with-background-pages',
  '--disable-component-update',
  '--disable-crash-reporter',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-field-trial-config',
  '--disable-notifications',
  '--disable-search-engine-choice-screen',
  '--disable-speech-api',
  '--disable-sync',
  '--disable-variations-safe-mode',
  '--variations-server-url=',
  '--allow-browser-signin=false',
  // Services that are asked in spite of the options above.
  `--gaia-url=${NOWHERE}`,
  `--component-updater=url-source=${NOWHERE}`,
  `--apps-gallery-update-url=${NOWHERE}`,
  // An extension may change the proxy. Some systems add theirs; the last option counts.
  '--disable-extensions',
  '--load-extension=',
  '--no-first-run',
  '--no-default-browser-check',
  // No keyring, which is another program.
  '--password-store=basic',
];

export const CHROMIUM: Browser = {
  name: 'Chromium',
  programs: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
  applications: [
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ],
  options: [
    '--disable-gpu',
    '--dump-dom',
    '--force-dark-mode',
    '--force-device-scale-factor',
    '--headless',
    '--hide-scrollbars',
    '--incognito',
    '--kiosk',
    '--lang',
    '--mute-audio',
    '--ozone-platform',
    '--ozone-platform-hint',
    '--start-fullscreen',
    '--start-maximized',
    '--virtual-time-budget',
    '--window-position',
    '--window-size',
  ],
  // Reports of crashes are written in spite of the options, and by default in the user's folder of settings.
  environment: (temporary) => ({ BREAKPAD_DUMP_LOCATION: temporary, CHROME_CONFIG_HOME: temporary }),
  files: (plan) => ({
    'Default/Preferences': JSON.stringify(preferences(plan)),
    'Local State': JSON.stringify(LOCAL_STATE),
    'First Run': '',
  }),
  args: (plan) => [
    `--user-data-dir=${plan.profile}`,
    `--proxy-server=socks5://${joinHostPort(plan.relay.host, plan.relay.port)}`,
    ...FLAGS,
    ...plan.options,
    '--',
    ...pagesOf(plan),
  ],
  policies: {
    folders: [
      '/etc/chromium/policies/managed',
      '/etc/chromium-browser/policies/managed',
      '/etc/opt/chrome/policies/managed',
    ],
    refused:
      /^(Proxy|DnsOverHttps|WebRtc|BuiltInDns|ExtensionInstallForcelist$|ExtensionSettings$|Sandbox|QuicAllowed$)/,
  },
  undoing:
    /^--(no-sandbox|disable-(setuid|namespace|seccomp-filter|gpu)-sandbox|no-zygote(-sandbox)?|single-process|no-proxy-server|proxy-(pac-url|auto-detect)|enable-quic|origin-to-force-quic-on|remote-debugging-(port|address|pipe)|disable-web-security|ignore-certificate-errors.*)(=|$)/,
};

function preferences({ downloads, startPage }: LaunchPlan): object {
  return {
    webrtc: {
      ip_handling_policy: 'disable_non_proxied_udp',
      multiple_routes_enabled: false,
      nonproxied_udp_enabled: false,
    },
    net: { network_prediction_options: 2 }, // never
    search: { suggest_enabled: false },
    safebrowsing: { enabled: false, enhanced: false },
    alternate_error_pages: { enabled: false },
    signin: { allowed: false, allowed_on_next_startup: false },
    translate: { enabled: false },
    spellcheck: { dictionaries: [], use_spelling_service: false },
    privacy_sandbox: {
      m1: { ad_measurement_enabled: false, fledge_enabled: false, prompt_suppressed: 5, topics_enabled: false },
    },
    url_keyed_anonymized_data_collection: { enabled: false },
    payments: { can_make_payment_enabled: false },
    autofill: { credit_card_enabled: false, profile_enabled: false },
    credentials_enable_service: false,
    // A position comes from the networks around, and messages over a channel to the maker: 2 is no.
    profile: { default_content_setting_values: { geolocation: 2, notifications: 2 } },
    browser: { enable_spellchecking: false, has_seen_welcome_page: true, show_home_button: true },
    homepage: startPage,
    homepage_is_newtabpage: false,
    download: { default_directory: downloads, prompt_for_download: true },
    savefile: { default_directory: downloads },
  };
}

const LOCAL_STATE = {
  background_mode: { enabled: false },
  dns_over_https: { mode: 'off', templates: '' },
  user_experience_metrics: { reporting_enabled: false },
};
