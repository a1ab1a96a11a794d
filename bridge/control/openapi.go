package control

import (
	"encoding"
	"encoding/json"
	"path"
	"reflect"
	"strings"
	"time"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/report"
)

// openAPIVersion is of the specification that the description follows.
const openAPIVersion = "3.1.0"

// object is a JSON object.
type object = map[string]any

// describe returns the description of routes.
func describe(routes []*route) object {
	s := schemas{}
	paths := object{}
	for _, t := range routes {
		if paths[t.path] == nil {
			paths[t.path] = object{}
		}
		paths[t.path].(object)[strings.ToLower(t.method)] = t.describe(s)
	}
	s.of(reflect.TypeFor[Problem]())
	return object{
		"openapi": openAPIVersion,
		"info": object{"title": "ntsbridge", "version": "1", "description": "What a gateway is and does, and what it is told. " +
			"Times in seconds unless they are said to be others; fields may be added within a version, and none goes."},
		"security": []any{object{"token": []string{}}, object{"certificate": []string{}}},
		"paths":    paths,
		"components": object{"schemas": object(s), "securitySchemes": object{
			"token":       object{"type": "http", "scheme": "bearer", "description": "a token of api.tokens"},
			"certificate": object{"type": "mutualTLS", "description": "a certificate of an authority of api.clients_ca"}}},
	}
}

func (t *route) describe(s schemas) object {
	content := object{}
	for kind, v := range t.answers {
		schema := object{"type": "string"}
		if v != nil {
			schema = s.of(reflect.TypeOf(v))
		}
		if kind == kindNDJSON && v == nil {
			schema = object{}
		}
		content[kind] = object{"schema": schema}
	}
	if len(content) == 0 {
		content["text/plain"] = object{"schema": object{"type": "string"}}
	}
	problem := object{"$ref": "#/components/schemas/Problem"}
	operation := object{"summary": t.summary, "operationId": t.operation(), "x-role": t.role.String(), "responses": object{
		"200":     object{"description": "done", "content": content},
		"default": object{"description": "not done", "content": object{kindProblem: object{"schema": problem}}}}}
	if t.role == remote.Nobody {
		delete(operation, "x-role")
	}
	var parameters []any
	for _, p := range t.query {
		parameters = append(parameters, p.describe())
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if t.body != nil {
		operation["requestBody"] = object{"required": true, "content": object{kindJSON: object{"schema": s.of(reflect.TypeOf(t.body))}}}
	}
	return operation
}

// operation is a name for a program that calls it, such as get_fleet_plan.
func (t *route) operation() string {
	name := strings.TrimSuffix(strings.TrimPrefix(t.path, "/v1"), ".json")
	return strings.ToLower(t.method) + strings.ReplaceAll(name, "/", "_")
}

// schemas are of the types that have a name, by that name.
type schemas object

var (
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	timeType = reflect.TypeFor[time.Time]()
	seenType = reflect.TypeFor[report.Time]()
)

// of returns the schema of what encoding/json makes of a type.
func (s schemas) of(t reflect.Type) object {
	switch {
	case t == rawType || t.Kind() == reflect.Interface:
		return object{}
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == seenType:
		return object{"type": []string{"string", "null"}, "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return nullable(s.of(t.Elem()))
	case t.Implements(textType) || reflect.PointerTo(t).Implements(textType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": []string{"string", "null"}, "contentEncoding": "base64"}
		}
		return object{"type": []string{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.named(t)
	}
	return object{}
}

// nullable is a schema or null.
func nullable(schema object) object {
	if kind, ok := schema["type"].(string); ok && schema["enum"] == nil {
		schema["type"] = []string{kind, "null"}
		return schema
	}
	if _, ok := schema["$ref"]; ok {
		return object{"anyOf": []any{schema, object{"type": "null"}}}
	}
	return schema
}

// named is the schema of a struct, by its name if it has one.
func (s schemas) named(t reflect.Type) object {
	name := t.Name()
	if name == "" {
		return s.fields(t)
	}
	if where := path.Base(t.PkgPath()); where != "control" {
		name = where + "." + name
	}
	if s[name] == nil {
		s[name] = object{} // it may have itself in it
		s[name] = s.fields(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s schemas) fields(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" || f.Anonymous && tag == "" || len(f.Index) > 1 && hidden(t, f) {
			continue
		}
		name := tag
		if name == "" {
			name = f.Name
		}
		schema := s.of(f.Type)
		if strings.Contains(options, "string") {
			schema = object{"type": "string"}
		}
		if words := f.Tag.Get("oneof"); words != "" {
			schema["enum"] = strings.Fields(words)
		}
		properties[name] = schema
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

// hidden reports whether an embedded field has a name of its own in JSON, so
// that its fields stand below it.
func hidden(t reflect.Type, f reflect.StructField) bool {
	outer := t.FieldByIndex(f.Index[:len(f.Index)-1])
	tag, _, _ := strings.Cut(outer.Tag.Get("json"), ",")
	return tag != ""
}
