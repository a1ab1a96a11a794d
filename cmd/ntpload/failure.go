package main

// failure is an error after the command line was found good.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// fail marks an error as a failure; nil stays nil.
func fail(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}
