// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <initializer_list>

#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"
#include "lib/base/xml_writer.hpp"
#include "sequences/errors.hpp"
#include "sequences/model.hpp"

namespace slipway::sequences {

namespace {

using tinyxml2::XMLElement;
using Names = std::initializer_list<std::string_view>;

Error at_line(const XMLElement& element, std::string_view text) {
    return make_error(errors::kBadSequence, "line {}: <{}>: {}", element.GetLineNum(), printable(element.Name()), text);
}

bool among(std::string_view name, Names names) { return std::find(names.begin(), names.end(), name) != names.end(); }

Status check_attributes(const XMLElement& element, Names known) {
    for (const auto* a = element.FirstAttribute(); a; a = a->Next())
        if (!among(a->Name(), known))
            return at_line(element, fmt::format("unknown attribute '{}'", printable(a->Name())));
    return {};
}

class Parser {
public:
    Result<ParsedSequence> run(std::string_view text) {
        if (auto parsed = parse_xml(document_, text); !parsed)
            return make_error(errors::kNotSequence, "{}", parsed.error().describe());
        auto* root = document_.RootElement();
        if (std::string_view(root->Name()) != "sequence" || xml_attribute(*root, "xmlns") != kNamespace)
            return make_error(errors::kNotSequence, "the root element is '{}' of '{}'", printable(root->Name()),
                              printable(xml_attribute(*root, "xmlns")));
        TRY(read_root(*root));
        TRY(check_schema(text));
        TRY(validate(out_.sequence));
        return std::move(out_);
    }

private:
    // Drops elements not in `known` with a warning.
    void keep_only(XMLElement& parent, Names known) {
        for (auto* child = parent.FirstChildElement(); child;) {
            auto* next = child->NextSiblingElement();
            if (!among(child->Name(), known)) {
                out_.warnings.push_back(fmt::format("line {}: unknown element '{}' is ignored", child->GetLineNum(),
                                                    printable(child->Name())));
                parent.DeleteChild(child);
            }
            child = next;
        }
    }

    Status read_root(XMLElement& root) {
        TRY(check_attributes(root, {"xmlns", "name", "description"}));
        keep_only(root, {"variables", "tasks"});
        auto& sequence = out_.sequence;
        sequence.name = xml_attribute(root, "name");
        sequence.description = xml_attribute(root, "description");
        if (auto* variables = root.FirstChildElement("variables")) {
            keep_only(*variables, {"variable"});
            for (auto* v = variables->FirstChildElement(); v; v = v->NextSiblingElement()) TRY(read_variable(*v));
        }
        auto* tasks = root.FirstChildElement("tasks");
        if (!tasks) return at_line(root, "there is no <tasks>");
        keep_only(*tasks, {"task"});
        for (auto* t = tasks->FirstChildElement(); t; t = t->NextSiblingElement()) TRY(read_task(*t));
        return {};
    }

    Status read_variable(XMLElement& element) {
        TRY(check_attributes(element, {"name", "default", "description"}));
        keep_only(element, {});
        Variable variable{xml_attribute(element, "name"), std::nullopt, xml_attribute(element, "description")};
        if (element.Attribute("default")) variable.default_value = element.Attribute("default");
        out_.sequence.variables.push_back(std::move(variable));
        return {};
    }

    Status read_task(XMLElement& element) {
        TRY(check_attributes(element, {"id", "type", "target", "timeout", "retry", "on-error", "reboot-point"}));
        keep_only(element, {"parameter"});
        auto type = xml_attribute(element, "type");
        if (!find_task_type(type))
            return make_error(errors::kBadTask, "line {}: no task type '{}'", element.GetLineNum(), printable(type));
        auto& task = out_.sequence.add(type);
        if (element.Attribute("id")) task.id = element.Attribute("id");
        TRY(read_policy(element, task));
        for (auto* p = element.FirstChildElement(); p; p = p->NextSiblingElement()) {
            TRY(check_attributes(*p, {"name"}));
            keep_only(*p, {});
            std::string value;
            for (const auto* node = p->FirstChild(); node; node = node->NextSibling())
                if (node->ToText()) value += node->Value();
            if (!task.parameters.emplace(xml_attribute(*p, "name"), std::move(value)).second)
                return at_line(*p, fmt::format("'{}' is there twice", printable(xml_attribute(*p, "name"))));
        }
        return {};
    }

    Status read_policy(const XMLElement& element, Task& task) {
        auto number = [&](const char* name) { return parse_u64(xml_attribute(element, name)); };
        if (element.Attribute("target")) {
            auto target = parse_target(xml_attribute(element, "target"));
            if (!target) return at_line(element, "target is device, controller or vmhost");
            task.target = *target;
        }
        if (element.Attribute("timeout")) {
            auto seconds = number("timeout");
            if (!seconds || *seconds > 2'592'000) return at_line(element, "timeout is a number of seconds");
            task.timeout = std::chrono::seconds(*seconds);
        }
        if (element.Attribute("retry")) {
            auto count = number("retry");
            if (!count || *count > kMaxRetry) return at_line(element, "retry is a number up to 100");
            task.retry = static_cast<unsigned>(*count);
        }
        if (element.Attribute("reboot-point")) task.reboot_point = element.BoolAttribute("reboot-point");
        task.on_error = xml_attribute(element, "on-error") == "continue" ? OnError::Continue : OnError::Fail;
        return {};
    }

    // The XSD sees the document without the elements that were dropped.
    Status check_schema(std::string_view text) {
        std::string cleaned;
        if (!out_.warnings.empty()) {
            tinyxml2::XMLPrinter printer;
            document_.Print(&printer);
            cleaned = printer.CStr();
            text = cleaned;
        }
        if (auto checked = check_against_xsd(text, sequence_schema()); !checked)
            return make_error(errors::kBadSequence, "{}", checked.error().message());
        return {};
    }

    tinyxml2::XMLDocument document_;
    ParsedSequence out_;
};

}  // namespace

Result<ParsedSequence> parse_sequence(std::string_view xml) { return Parser().run(xml); }

static void render_task(XmlWriter& xml, const Task& task) {
    const auto* type = find_task_type(task.type);
    xml.open("task").attribute("id", task.id).attribute("type", task.type);
    xml.attribute("target", name_of(task.target)).attribute("timeout", std::to_string(task.timeout.count()));
    if (task.retry) xml.attribute("retry", std::to_string(task.retry));
    if (task.on_error != OnError::Fail) xml.attribute("on-error", name_of(task.on_error));
    if (!type || type->reboot_point != task.reboot_point)
        xml.attribute("reboot-point", task.reboot_point ? "true" : "false");
    for (const auto& [name, value] : task.parameters) xml.open("parameter").attribute("name", name).text(value).close();
    xml.close();
}

std::string render_sequence(const Sequence& sequence) {
    XmlWriter xml;
    xml.open("sequence").attribute("xmlns", kNamespace).attribute("name", sequence.name);
    if (!sequence.description.empty()) xml.attribute("description", sequence.description);
    if (!sequence.variables.empty()) {
        xml.open("variables");
        for (const auto& v : sequence.variables) {
            xml.open("variable").attribute("name", v.name);
            if (v.default_value) xml.attribute("default", *v.default_value);
            if (!v.description.empty()) xml.attribute("description", v.description);
            xml.close();
        }
        xml.close();
    }
    xml.open("tasks");
    for (const auto& task : sequence.tasks) render_task(xml, task);
    xml.close().close();
    return std::move(xml).take();
}

}  // namespace slipway::sequences
