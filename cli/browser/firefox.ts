/**
 * Firefox, set to use the proxy and nothing else. A preference that a version does not know does nothing there.
 * @module
 */
import { type Browser, type LaunchPlan, pagesOf } from './browser.ts';

type Preferences = Readonly<Record<string, string | number | boolean>>;

/** Every connection goes to the proxy, names too; a proxy that fails is never gone around, not even by Firefox's own requests. */
const proxyPreferences = ({ host, port }: LaunchPlan['relay']): Preferences => ({
  'network.proxy.type': 1,
  'network.proxy.socks': host,
  'network.proxy.socks_port': port,
  'network.proxy.socks_version': 5,
  'network.proxy.socks_remote_dns': true,
  'network.proxy.socks5_remote_dns': true,
  'network.proxy.no_proxies_on': '',
  'network.proxy.allow_hijacking_localhost': true,
  'network.proxy.failover_direct': false,
  'network.proxy.allow_bypass': false,
  'network.proxy.autoconfig_url': '',
  'network.proxy.enable_wpad_over_dhcp': false,
});

/** What opens connections of other kinds, or before anybody asked for them. */
const CONNECTIONS: Preferences = {
  // Names are the exit's business. This also stops what asks the resolver without regard to the proxy.
  'network.dns.disabled': true,
  'network.dns.disablePrefetch': true,
  'network.dns.disablePrefetchFromHTTPS': true,
  'network.dns.prefetch_via_proxy': false,
  'network.dns.native_https_query': false,
  'network.trr.mode': 5,
  'doh-rollout.enabled': false,
  'doh-rollout.disable-heuristics': true,
  'network.http.http3.enable': false,
  'network.http.altsvc.enabled': false,
  'network.webtransport.enabled': false,
  'network.predictor.enabled': false,
  'network.prefetch-next': false,
  'network.http.speculative-parallel-limit': 0,
  'network.early-hints.preconnect.enabled': false,
  'browser.urlbar.speculativeConnect.enabled': false,
  'browser.places.speculativeConnect.enabled': false,
  // WebRTC is UDP, which a SOCKS proxy does not carry for Firefox. The others hold should somebody switch it on.
  'media.peerconnection.enabled': false,
  'media.peerconnection.ice.proxy_only': true,
  'media.peerconnection.ice.no_host': true,
  'media.peerconnection.ice.default_address_only': true,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'captivedetect.canonicalURL': '',
  // Other programs open connections of their own.
  'network.protocol-handler.external-default': false,
  'network.gio.supported-protocols': '',
  'network.file.disable_unc_paths': true,
  'geo.enabled': false,
  'geo.provider.use_geoclue': false,
  'media.webspeech.synth.enabled': false,
};

/** What Firefox asks for on its own. It would go through the proxy; it is traffic of nobody, and tells what browser this is. */
const BACKGROUND: Preferences = {
  'app.normandy.enabled': false,
  'app.shield.optoutstudies.enabled': false,
  'app.update.auto': false,
  'app.update.enabled': false,
  'nimbus.rollouts.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.usage.uploadEnabled': false,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.unified': false,
  'toolkit.telemetry.server': '',
  'toolkit.telemetry.archive.enabled': false,
  'toolkit.telemetry.newProfilePing.enabled': false,
  'toolkit.telemetry.firstShutdownPing.enabled': false,
  'toolkit.telemetry.shutdownPingSender.enabled': false,
  'toolkit.telemetry.bhrPing.enabled': false,
  'toolkit.telemetry.updatePing.enabled': false,
  'toolkit.coverage.opt-out': true,
  'browser.tabs.crashReporting.sendReport': false,
  // Counts only with MOZ_REMOTE_SETTINGS_DEVTOOLS.
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'services.settings.poll_interval': 2_147_483_647,
  'security.remote_settings.crlite_filters.enabled': false,
  'security.remote_settings.intermediates.enabled': false,
  'security.certerrors.mitm.priming.enabled': false,
  'extensions.update.enabled': false,
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.systemAddon.update.url': '',
  'extensions.webcompat-reporter.enabled': false,
  'media.gmp-manager.url': '',
  'media.gmp-manager.updateEnabled': false,
  'media.gmp-manager.chromium-update-url': '',
  'media.gmp-provider.enabled': false,
  'dom.push.connection.enabled': false,
  'dom.push.enabled': false,
  'browser.region.update.enabled': false,
  'browser.region.network.url': '',
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.safebrowsing.downloads.remote.enabled': false,
  'browser.safebrowsing.provider.google.updateURL': '',
  'browser.safebrowsing.provider.google4.updateURL': '',
  'browser.safebrowsing.provider.google5.updateURL': '',
  'browser.safebrowsing.provider.mozilla.updateURL': '',
  'browser.search.update': false,
  'browser.search.suggest.enabled': false,
  'browser.urlbar.suggest.searches': false,
  'browser.urlbar.quicksuggest.enabled': false,
  'browser.urlbar.merino.endpointURL': '',
  'browser.discovery.enabled': false,
  'browser.topsites.contile.enabled': false,
  'browser.topsites.useRemoteSetting': false,
  'browser.newtabpage.enabled': false,
  'browser.newtab.preload': false,
  'browser.newtabpage.activity-stream.feeds.topsites': false,
  'browser.newtabpage.activity-stream.feeds.section.topstories': false,
  'browser.newtabpage.activity-stream.feeds.telemetry': false,
  'browser.newtabpage.activity-stream.telemetry': false,
  'browser.newtabpage.activity-stream.showSponsored': false,
  'browser.newtabpage.activity-stream.showSponsoredTopSites': false,
  'browser.newtabpage.activity-stream.unifiedAds.endpoint': '',
  'browser.newtabpage.trainhopAddon.xpiBaseURL': '',
  'browser.ml.enable': false,
  'browser.vpn_promo.enabled': false,
  'identity.fxaccounts.enabled': false,
  'signon.management.page.breach-alerts.enabled': false,
  'extensions.pocket.enabled': false,
};

/** No greetings, no questions, and nothing opened that was not asked for. */
const QUIET: Preferences = {
  // An extension may change the proxy: none can be installed, and those of the system are not loaded.
  'xpinstall.enabled': false,
  'extensions.enabledScopes': 1,
  'browser.aboutwelcome.enabled': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 1,
  'browser.shell.checkDefaultBrowser': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.uitour.enabled': false,
  'datareporting.policy.dataSubmissionPolicyBypassNotification': true,
  'datareporting.policy.firstRunURL': '',
  'startup.homepage_welcome_url': '',
  'startup.homepage_welcome_url.additional': '',
  'termsofuse.bypassNotification': true,
  'trailhead.firstrun.didSeeAboutWelcome': true,
  'signon.rememberSignons': false,
  'browser.download.useDownloadDir': false,
  'browser.download.folderList': 2,
};

export const FIREFOX: Browser = {
  name: 'Firefox',
  programs: ['firefox', 'firefox-esr'],
  applications: ['/Applications/Firefox.app/Contents/MacOS/firefox'],
  options: ['--devtools', '--headless', '--kiosk', '--screenshot', '--window-size'],
  environment: () => ({ MOZ_CRASHREPORTER_DISABLE: '1', MOZ_REMOTE_SETTINGS_DEVTOOLS: '1' }),
  files: (plan) => ({ 'user.js': userPreferences(plan) }),
  args: (plan) => ['--no-remote', '--new-instance', '--profile', plan.profile, ...plan.options, ...pagesOf(plan)],
  policies: {
    folders: [
      '/etc/firefox/policies',
      '/etc/firefox-esr/policies',
      '/usr/lib/firefox/distribution',
      '/usr/lib/firefox-esr/distribution',
      '/usr/lib64/firefox/distribution',
    ],
    refused: /^(Proxy|DNSOverHTTPS|Preferences|Extensions|ExtensionSettings)$/,
  },
  undoing: /^--?(remote-debugging-port|marionette|start-debugger-server)(=|$)/,
};

function userPreferences(plan: LaunchPlan): string {
  const all = {
    ...proxyPreferences(plan.relay),
    ...CONNECTIONS,
    ...BACKGROUND,
    ...QUIET,
    'browser.startup.homepage': plan.startPage,
    'browser.download.dir': plan.downloads,
  };
  const lines = Object.entries(all).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  return lines.join('');
}
