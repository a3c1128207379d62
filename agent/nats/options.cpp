#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

#include "agent/nats/handles.hpp"
#include "agent/nats/nkey.hpp"

namespace marmot::agent::nats {
namespace {

constexpr size_t kMaxFile = size_t{1} << 20;
constexpr int64_t kConnectTimeoutMs = 2'000;
constexpr int64_t kWriteDeadlineMs = 2'000;
constexpr int64_t kPingIntervalMs = 3'000;  // with two pings out, a silent peer is noticed within 9 s

Error bad(const char* key, std::string what) {
  return make_error(Errc::bad_input, std::string("nats.") + key + ": " + std::move(what));
}

// Small files: seeds, certificates. (A std::ifstream of a directory opens, and throws when read.)
Result<std::string> read_file(const char* key, const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  std::string text(kMaxFile, '\0');
  size_t size = 0;
  if (file) size = std::fread(text.data(), 1, text.size(), file.get());
  if (!file || std::ferror(file.get()) != 0) return bad(key, "cannot read " + path + ": " + std::strerror(errno));
  if (size == 0 || size == kMaxFile) return bad(key, path + (size == 0 ? " is empty" : " is larger than 1 MB"));
  text.resize(size);
  return text;
}

bool valid_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port > 0 && port < 65536;
}

bool has_scheme(std::string_view url, std::string_view scheme) {
  return url.substr(0, scheme.size()) == scheme && url.substr(scheme.size(), 3) == "://";
}

Status check_url(const std::string& url) {
  constexpr const char* kShape = ": write nats://host:4222 or tls://host:4222";
  std::string_view rest = url;
  if (const size_t at = rest.find("://"); at != std::string_view::npos) {
    if (!has_scheme(url, "nats") && !has_scheme(url, "tls")) return bad("urls", "\"" + url + "\" has an unknown scheme" + kShape);
    rest.remove_prefix(at + 3);
  }
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  std::string_view host = rest, port;
  if (!rest.empty() && rest.front() == '[') {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return bad("urls", "\"" + url + "\" has no closing bracket" + kShape);
    host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  if (host.empty() || host.find_first_of(" \t/?#:") != std::string_view::npos) {
    // An address of IPv6 in brackets may hold colons.
    if (host.empty() || rest.front() != '[') return bad("urls", "\"" + url + "\" names no host" + kShape);
  }
  if (!port.empty() && !(port.front() == ':' && valid_port(port.substr(1)))) {
    return bad("urls", "\"" + url + "\" has no valid port" + kShape);
  }
  return ok();
}

Status check_sign_in(const Options& options) {
  if (options.user.empty() != options.password.empty()) {
    return options.user.empty() ? bad("password", "is set without nats.user: set both or none")
                                : bad("user", "is set without nats.password: set both or none");
  }
  std::string chosen;
  const std::pair<const char*, bool> ways[] = {{"user", !options.user.empty()},
                                               {"token", !options.token.empty()},
                                               {"nkey_seed", !options.nkey_seed.empty()},
                                               {"credentials", !options.credentials.empty()}};
  for (const auto& [key, set] : ways) {
    if (!set) continue;
    if (!chosen.empty()) return bad(key, "is set beside nats." + chosen + ": keep one way to sign in");
    chosen = key;
  }
  return ok();
}

// The seed itself, whether given or in a file.
Result<std::string> read_seed(const Options& options) {
  std::string seed = options.nkey_seed;
  if (seed.substr(0, 2) != "SU" || seed.find_first_of("/.") != std::string::npos) {
    TRY_ASSIGN(seed, read_file("nkey_seed", options.nkey_seed));
  }
  while (!seed.empty() && (seed.back() == '\n' || seed.back() == '\r' || seed.back() == ' ')) seed.pop_back();
  return seed;
}

natsStatus sign_nonce(char** error_text, unsigned char** signature, int* size, const char* nonce, void* closure) {
  const auto seed = read_seed(*static_cast<const Options*>(closure));
  if (!seed) {
    *error_text = strdup(seed.error().message.c_str());
    return NATS_ERR;
  }
  return nats_Sign(seed->c_str(), nonce, signature, size);
}

Status apply_sign_in(const Options& options, natsOptions* out) {
  natsStatus status = NATS_OK;
  if (!options.user.empty()) status = natsOptions_SetUserInfo(out, options.user.c_str(), options.password.c_str());
  if (!options.token.empty()) status = natsOptions_SetToken(out, options.token.c_str());
  if (status != NATS_OK) return nats_error(status).in("sign in");
  if (!options.nkey_seed.empty()) {
    TRY_ASSIGN(const std::string seed, read_seed(options));
    const auto key = public_nkey(seed);
    if (!key) return bad("nkey_seed", key.error().message);
    // The closure is only read: the handler gets it as nats.c's plain void*.
    status = natsOptions_SetNKey(out, key->c_str(), sign_nonce, const_cast<Options*>(&options));
    if (status != NATS_OK) return nats_error(status).in("nats.nkey_seed");
  }
  if (!options.credentials.empty()) {
    TRY_ASSIGN(const std::string text, read_file("credentials", options.credentials));
    if (text.find("BEGIN NATS USER JWT") == std::string::npos || text.find("BEGIN USER NKEY SEED") == std::string::npos) {
      return bad("credentials", options.credentials + " is no .creds file (a user JWT and a seed, as `nsc generate creds` writes)");
    }
    status = natsOptions_SetUserCredentialsFromFiles(out, options.credentials.c_str(), nullptr);
    if (status != NATS_OK) return nats_error(status).in("nats.credentials");
  }
  return ok();
}

Status apply_tls(const Options& options, bool tls_url, natsOptions* out) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return options.tls_cert.empty() ? bad("tls_key", "is set without nats.tls_cert: set both or none")
                                    : bad("tls_cert", "is set without nats.tls_key: set both or none");
  }
  if (!tls_url && options.tls_ca.empty() && options.tls_cert.empty()) return ok();
  if (const natsStatus status = natsOptions_SetSecure(out, true); status != NATS_OK) return nats_error(status).in("TLS");
  if (!options.tls_ca.empty()) {
    TRY(read_file("tls_ca", options.tls_ca));
    if (natsOptions_LoadCATrustedCertificates(out, options.tls_ca.c_str()) != NATS_OK) {
      return bad("tls_ca", options.tls_ca + " holds no PEM certificate");
    }
  }
  if (!options.tls_cert.empty()) {
    TRY(read_file("tls_cert", options.tls_cert));
    TRY(read_file("tls_key", options.tls_key));
    if (natsOptions_LoadCertificatesChain(out, options.tls_cert.c_str(), options.tls_key.c_str()) != NATS_OK) {
      return bad("tls_cert", options.tls_cert + " and " + options.tls_key + " are no PEM certificate and its key");
    }
  }
  return ok();
}

}  // namespace

Error nats_error(natsStatus status) {
  natsStatus last = NATS_OK;
  const char* text = nats_GetLastError(&last);
  std::string message = natsStatus_GetText(status);
  if (last == status && text != nullptr) {
    std::string_view more = text;  // "(conn.c:1905): Authorization Violation"
    if (const size_t at = more.find("): "); !more.empty() && more.front() == '(' && at != std::string_view::npos) more.remove_prefix(at + 3);
    if (!more.empty() && more != message) message += " (" + std::string(more) + ")";
  }
  Errc code = Errc::unavailable;
  if (status == NATS_TIMEOUT) code = Errc::timeout;
  if (status == NATS_CONNECTION_AUTH_FAILED || status == NATS_NOT_PERMITTED) code = Errc::refused;
  return make_error(code, std::move(message), static_cast<int>(status));
}

Result<OptionsHandle> build_options(const Options& options, const std::string& url) {
  natsOptions* raw = nullptr;
  if (const natsStatus status = natsOptions_Create(&raw); status != NATS_OK) return nats_error(status);
  OptionsHandle out(raw);
  const std::string full = url.find("://") == std::string::npos ? "nats://" + url : url;
  natsStatus status = natsOptions_SetURL(raw, full.c_str());
  if (status != NATS_OK) return bad("urls", "\"" + url + "\" is no address");
  status = natsOptions_SetName(raw, options.name.c_str());
  if (status == NATS_OK) status = natsOptions_SetTimeout(raw, kConnectTimeoutMs);
  if (status == NATS_OK) status = natsOptions_SetAllowReconnect(raw, false);  // wire.hpp says why
  if (status == NATS_OK) status = natsOptions_SetWriteDeadline(raw, kWriteDeadlineMs);
  if (status == NATS_OK) status = natsOptions_SetPingInterval(raw, kPingIntervalMs);
  if (status == NATS_OK) status = natsOptions_SetMaxPingsOut(raw, 2);
  // Else nats.c's flusher waits a millisecond for more before it writes anything.
  if (status == NATS_OK) status = natsOptions_SetSendAsap(raw, true);
  // One thread for all subscriptions: their callbacks only copy.
  if (status == NATS_OK) status = natsOptions_UseGlobalMessageDelivery(raw, true);
  if (status != NATS_OK) return nats_error(status).in("options");
  TRY(apply_sign_in(options, raw));
  TRY(apply_tls(options, has_scheme(full, "tls"), raw));
  return out;
}

Status check(const Options& options) {
  if (options.urls.empty()) return bad("urls", "is empty: name at least one server, as nats://127.0.0.1:4222");
  for (const std::string& url : options.urls) TRY(check_url(url));
  TRY(check_sign_in(options));
  TRY(build_options(options, options.urls.front()));
  return ok();
}

}  // namespace marmot::agent::nats
