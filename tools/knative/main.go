// knative-check reads Knative Services as YAML, and says of each what Knative's webhook would: its own defaulting and
// validation, with the features as Knative ships them or as -feature sets them. It prints JSON, one object a line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/util/yaml"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	serving "knative.dev/serving/pkg/apis/serving/v1"
)

// A verdict is what the webhook would say of one Service.
type verdict struct {
	Name     string   `json:"name"`
	Refused  []string `json:"refused"`
	Warnings []string `json:"warnings"`
}

// features are the entries of the ConfigMap config-features.
type features map[string]string

func (f features) String() string { return fmt.Sprint(map[string]string(f)) }

func (f features) Set(entry string) error {
	key, value, found := strings.Cut(entry, "=")
	if !found {
		return errors.New("expected KEY=VALUE")
	}
	f[key] = value
	return nil
}

func main() {
	enabled := features{}
	flag.Var(enabled, "feature", "an entry of config-features, `KEY=VALUE`; may be given several times")
	flag.Parse()
	if err := run(enabled, os.Stdin, json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(enabled features, in io.Reader, out *json.Encoder) error {
	parsed, err := config.NewFeaturesConfigFromMap(enabled)
	if err != nil {
		return err
	}
	ctx := config.ToContext(context.Background(), &config.Config{Features: parsed})
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		service := &serving.Service{}
		if err := decoder.Decode(service); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if service.Name == "" {
			continue // an empty document
		}
		if err := out.Encode(judge(ctx, service)); err != nil {
			return err
		}
	}
}

func judge(ctx context.Context, service *serving.Service) verdict {
	ctx = apis.WithinCreate(ctx)
	service.SetDefaults(ctx)
	found := service.Validate(ctx)
	return verdict{
		Name:     service.Name,
		Refused:  lines(found.Filter(apis.ErrorLevel)),
		Warnings: lines(found.Filter(apis.WarningLevel)),
	}
}

func lines(found *apis.FieldError) []string {
	if found == nil {
		return []string{}
	}
	return strings.Split(found.Error(), "\n")
}
