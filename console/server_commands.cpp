// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway server …` and `slipway group …`
#include "console/commands.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

std::vector<std::string> texts(const json::array& array) {
    std::vector<std::string> out;
    for (const auto& item : array)
        if (item.is_string()) out.emplace_back(item.get_string());
    return out;
}

Result<ExitCode> status(const Context& context) {
    auto client = TRY(RestClient::open());
    auto s = TRY(client.get("/server"));
    context.print(
        fmt::format(
            "slipway server {}\n  roles      {}\n  addresses  {}\n  TLS port   {}\n  HTTP port  {}\n  time       {}\n",
            text_at(s, "version"), join(texts(array_at(s, "roles")), " "), join(texts(array_at(s, "addresses")), " "),
            number_at(s, "tls_port"), number_at(s, "http_port"), text_at(s, "now")),
        s);
    return kExitDone;
}

// The login is tried before it is kept.
Result<ExitCode> login(const std::string& url, const std::string& ca, const std::string& token,
                       const Context& context) {
    Login login;
    login.url = url;
    login.ca_pem = TRY(read_text_file(ca, 1u << 20));
    login.token = trim(TRY(read_text_file(token, 4096)));
    auto client = TRY(RestClient::open(login));
    auto server = TRY(client.get("/server"));
    TRY(save_login(login));
    context.print("logged in to " + url + "; kept in " + login_directory().string() + "\n", server);
    return kExitDone;
}

// The kept login follows, where it named the old address.
Result<bool> move_login(const std::string& before, const std::string& address) {
    auto login = find_login();
    if (!login || std::getenv("SLIPWAY_URL")) return false;
    auto at = login->url.find("//" + before + ":");
    if (at == std::string::npos) return false;
    login->url.replace(at + 2, before.size(), address);
    TRY(save_login(*login));
    return true;
}

Result<ExitCode> move_address(const std::string& address, const Context& context) {
    auto client = TRY(RestClient::open());
    auto moved = TRY(client.post("/server/address", json::object{{"address", address}}));
    auto text = fmt::format(
        "{}: {} in place of {}, in DHCP and PXE answers and boot scripts, once the server has been started again "
        "(systemctl restart deploy-server)\n",
        text_at(moved, "interface"), text_at(moved, "address"), text_at(moved, "before"));
    if (auto jobs = array_at(moved, "unfinished_jobs").size(); jobs != 0)
        text += fmt::format(
            "{} jobs are not finished: agents in their ramdisk know the old address; let it answer until "
            "they are done\n",
            jobs);
    if (auto agents = texts(array_at(moved, "administration_agents")); !agents.empty())
        text += "give the new address to the administration agents (slipway-agent --server) of: " + join(agents, " ") +
                "\n";
    if (TRY(move_login(text_at(moved, "before"), text_at(moved, "address"))))
        text += "the login kept in " + login_directory().string() + " has the new address\n";
    context.print(text, moved);
    return kExitDone;
}

Result<ExitCode> list_groups(const Context& context) {
    auto client = TRY(RestClient::open());
    auto groups = TRY(client.get("/groups"));
    Table table({"GROUP", "DEVICES"});
    for (const auto& g : array_at(groups, "items"))
        table.row({text_at(g, "name"), join(texts(array_at(g, "devices")), " ")});
    context.print(table.text(), groups);
    return kExitDone;
}

}  // namespace

void add_server_commands(CLI::App& root, Context& context) {
    auto* server = root.add_subcommand("server", "The deploy server");
    server->require_subcommand(1);
    on_command(*add_command(*server, context, "status", "Version, roles, addresses"), context,
               [&context] { return status(context); });
    auto to = std::make_shared<std::string>();
    auto* move =
        add_command(*server, context, "address", "Move the network boot to another address of its machine",
                    "  ip addr add 10.0.0.6/24 dev eth0 && slipway server address 10.0.0.6 && systemctl restart "
                    "deploy-server\n");
    move->add_option("address", *to, "one that the interface has already")->required();
    on_command(*move, context, [=, &context] { return move_address(*to, context); });
    auto url = std::make_shared<std::string>(), ca = std::make_shared<std::string>(),
         token = std::make_shared<std::string>();
    auto* app = add_command(*server, context, "login", "Keep where the server is and how to log in",
                            "  slipway server login --url https://deploy:8443 --ca /var/lib/slipway/pki/ca.pem "
                            "--token-file /var/lib/slipway/admin.token\n");
    app->add_option("--url", *url, "https://HOST:PORT")->required();
    app->add_option("--ca", *ca, "the server's CA certificate (STATE/pki/ca.pem)")->required();
    app->add_option("--token-file", *token, "STATE/admin.token")->required();
    on_command(*app, context, [=, &context] { return login(*url, *ca, *token, context); });

    auto* group = root.add_subcommand("group", "Device groups");
    group->require_subcommand(1);
    on_command(*add_command(*group, context, "list", "All groups"), context,
               [&context] { return list_groups(context); });
    auto name = std::make_shared<std::string>();
    auto devices = std::make_shared<std::vector<std::string>>();
    auto* add =
        add_command(*group, context, "add", "Make a group", "  slipway group add web --device web1 --device web2\n");
    add->add_option("name", *name, "of the group")->required();
    add->add_option("--device", *devices, "a member; repeat for several");
    on_command(*add, context, [=, &context]() -> Result<ExitCode> {
        auto client = TRY(RestClient::open());
        auto made = TRY(client.post(
            "/groups", json::object{{"name", *name}, {"devices", json::array(devices->begin(), devices->end())}}));
        context.print("group " + *name + " made\n", made);
        return kExitDone;
    });
    auto* set = add_command(*group, context, "set", "Give a group other members: those named, and no others",
                            "  slipway group set web --device web1 --device web3\n");
    set->add_option("name", *name, "of the group")->required();
    set->add_option("--device", *devices, "a member; repeat for several")->required();
    on_command(*set, context, [=, &context]() -> Result<ExitCode> {
        auto client = TRY(RestClient::open());
        auto made = TRY(client.patch("/groups/" + segment(*name),
                                     json::object{{"devices", json::array(devices->begin(), devices->end())}}));
        const auto members = array_at(made, "devices").size();
        context.print(fmt::format("group {} has {} member{}\n", *name, members, members == 1 ? "" : "s"), made);
        return kExitDone;
    });
    auto* drop = add_command(*group, context, "delete", "Forget a group; its devices stay");
    drop->add_option("name", *name, "of the group")->required();
    on_command(*drop, context, [=, &context]() -> Result<ExitCode> {
        auto client = TRY(RestClient::open());
        TRY(client.remove("/groups/" + segment(*name)));
        context.print("group " + *name + " deleted\n", {{"group", *name}});
        return kExitDone;
    });
}

}  // namespace slipway::console
